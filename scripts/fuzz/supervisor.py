"""Starts the worker and watches it: one that hangs, in C code too, or that crashes is a failure of the case at hand."""

from __future__ import annotations

import json
import os
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from base64 import b64decode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scripts.fuzz.campaign import Failure, Tally
from scripts.fuzz.target import MAX_SECONDS
from scripts.fuzz.worker import Board

ROOT = Path(__file__).parents[2]
_TICKS = os.sysconf("SC_CLK_TCK")
_LOOK_SECONDS = 0.25
_KILL_PROCESSOR_SECONDS = 6.0  # of one case: the worker itself fails one that takes a second, once it returns
_KILL_SECONDS = 90.0  # of one case that waits and does not compute
_MAX_LOG = 20_000  # characters that are shown of what a worker said last


@dataclass(slots=True)
class Result:
    """What a run found."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    failures: list[Failure] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Order:
    """What a worker runs; `seconds` and `cases` are those of each target's generated cases together."""

    modules: Sequence[str]
    seed: int = 1
    seconds: float = 60.0
    cases: int = 1_000_000_000
    max_seconds: float = MAX_SECONDS
    kill_processor_seconds: float = _KILL_PROCESSOR_SECONDS


def supervise(order: Order, progress: Callable[[Result], None] = lambda _: None) -> Result:
    """Run a worker to its end. When it hangs or crashes, that is a failure, and the rest is not run."""
    with tempfile.TemporaryDirectory(prefix="authz-fuzz-") as name:
        board = Path(name, "board")
        board.touch()
        with Path(name, "log").open("w+") as log:
            words = {"modules": order.modules, "seed": order.seed, "seconds": order.seconds, "cases": order.cases}
            words["max_seconds"] = order.max_seconds
            command = [sys.executable, "-m", "scripts.fuzz.worker", json.dumps({**words, "board": str(board)})]
            process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
            result = Result()
            try:
                hung = _watch(process, board, order, result, progress)
                code = process.wait(60)
            finally:
                _end(process)
            log.seek(0)
            said = log.read()[-_MAX_LOG:]
        if hung or code:
            what = hung or f"the process ended with {code}"
            case = _case(board)
            result.failures.append(Failure(case[0], case[1], f"{what}:\n{said}"))
    return result


def _watch(
    process: subprocess.Popen[bytes], board: Path, order: Order, result: Result, progress: Callable[[Result], None]
) -> str:
    """Read what the worker says until it ends; why it was killed, if it was."""
    assert process.stdout
    os.set_blocking(process.stdout.fileno(), False)
    rest, watched = b"", _Watched(process.pid, board, order.kill_processor_seconds)
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while True:
            if selector.select(_LOOK_SECONDS):
                piece = os.read(process.stdout.fileno(), 65_536)
                if not piece:
                    return ""
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    _take(json.loads(line), result)
                    progress(result)
            if why := watched.hang():
                process.send_signal(signal.SIGUSR1)
                time.sleep(1.0)  # for where it hangs to be written
                process.kill()
                return why


def _take(line: Mapping[str, Any], result: Result) -> None:
    result.tallies = {name: Tally(**each) for name, each in line["tallies"].items()}
    if found := line.get("failure"):
        result.failures.append(Failure(found["target"], b64decode(found["data"]), found["message"]))


class _Watched:
    """How long the case at hand has been running."""

    def __init__(self, pid: int, board: Path, most: float) -> None:
        self._pid = pid
        self._board = board
        self._most = most
        self._number = 0
        self._since = (time.monotonic(), 0.0)

    def hang(self) -> str:
        """Why the case hangs; empty when it does not."""
        if self._board.stat().st_size == 0:
            return ""  # it is about to start
        board = Board(self._board)
        number = board.read().number
        board.close()
        now = (time.monotonic(), self._processor_seconds())
        if number != self._number or number == 0:
            self._number, self._since = number, now
            return ""
        waited, worked = now[0] - self._since[0], now[1] - self._since[1]
        if worked > self._most:
            return f"hangs: {worked:.0f} s of processor time"
        return f"hangs: nothing for {waited:.0f} s" if waited > _KILL_SECONDS else ""

    def _processor_seconds(self) -> float:
        try:
            fields = Path(f"/proc/{self._pid}/stat").read_text().rpartition(")")[2].split()
        except FileNotFoundError:
            return 0.0
        return (int(fields[11]) + int(fields[12])) / _TICKS


def _case(board: Path) -> tuple[str, bytes]:
    if board.stat().st_size == 0:
        return "", b""
    shown = Board(board)
    case = shown.read()
    shown.close()
    return case.target, case.data


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the worker, and the servers that it started."""
    if process.stdout:
        process.stdout.close()
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    try:
        os.killpg(process.pid, signal.SIGTERM)
    except ProcessLookupError:
        return

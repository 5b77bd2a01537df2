"""Supervises worker processes on one listening socket, and restarts those that die.

The application is imported and built before the first fork, when no thread, loop or connection exists: workers share
its memory and start in milliseconds. They share the socket too, so that a connection which waits to be accepted is
unclaimed until a worker can serve it, and is not lost with a worker.
"""

from __future__ import annotations

import gc
import math
import mmap
import os
import select
import signal
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import NoReturn

import structlog

from app.cli.failure import explained
from app.cli.server.heartbeat import BEAT_SECONDS, Heartbeat
from app.hangup import hangup
from app.http.door.draining import draining

_STEADY_SECONDS = 1.0  # a worker that served for that long is replaced at once
_LONGEST_WAIT = 10.0
# A first load of a large policy takes seconds, and ten times as long on a slow and busy machine.
_START_SECONDS = 300.0
_WHY_NO_START = "see what it logged last: it may wait for a disk, a lock of the database, or the network"
_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD)
_log = structlog.stdlib.get_logger("server")

# Serves until it is stopped. Its arguments say whether it is among the first, and what to call once it serves.
Work = Callable[[bool, Callable[[], None]], None]


@dataclass(slots=True)
class _Worker:
    began: float
    heartbeat: Heartbeat
    ready: bool = False
    starting_looks: int = 0  # of the supervisor, before it was ready
    killed: str = ""  # why, if this process killed it


class WorkerSupervisor:
    """Keeps `count` processes at `work` on a socket, until SIGTERM or SIGINT; SIGHUP is passed on.

    `started` is called when all of the first ones serve. A worker that has not ended `stop_seconds` after the signal
    is killed, and so is one that does not serve `start_seconds` after its start, and one whose event loop has not run
    for `hung_seconds`. `abandoned` is called in each worker when this process has died. `ended_by` is the signal that
    stopped them all.
    """

    def __init__(
        self,
        count: int,
        listener: socket.socket,
        work: Work,
        *,
        started: Callable[[], None],
        abandoned: Callable[[], None],
        stop_seconds: float,
        hung_seconds: float,
        start_seconds: float = _START_SECONDS,
    ) -> None:
        self._count = count
        self._listener = listener
        self._work = work
        self._started = started
        self._abandoned = abandoned
        self._stop_seconds = stop_seconds
        self._hung_looks = math.ceil(hung_seconds / BEAT_SECONDS)
        self._start_looks = math.ceil(start_seconds / BEAT_SECONDS)
        self._check_at = time.monotonic() + BEAT_SECONDS
        self._workers: dict[int, _Worker] = {}
        self._due: list[float] = []  # when replacements are to be started
        self._failures = 0  # in a row
        self._complete = False  # whether all of the first ones have served
        self._kill_at: float | None = None
        self.ended_by: signal.Signals | None = None
        self._heard, self._wake = os.pipe()
        self._readied, self._ready = os.pipe()
        self._parent_lives, self._life = os.pipe()
        self._all_stop = mmap.mmap(-1, 1)  # shared: not zero once every worker is to stop

    def run(self) -> bool:
        """Start the workers and wait until the last has ended; return False if the first ones could not start."""
        for end in (self._heard, self._wake, self._readied):
            os.set_blocking(end, False)
        before = {number: signal.signal(number, lambda *_: None) for number in _SIGNALS}
        signal.set_wakeup_fd(self._wake)
        gc.collect()
        gc.freeze()  # what is there now is shared: a collection in a worker would copy it
        for _ in range(self._count):
            self._fork()
        while self._workers or (self._due and self._kill_at is None):
            self._wait()
            for heard in self._read(self._heard, 1):
                self._on_signal(signal.Signals(heard[0]))
            for pid in self._read(self._readied, 4):
                self._note_ready(int.from_bytes(pid, "big"))
            self._reap()
            self._act_in_time()
        signal.set_wakeup_fd(-1)
        for number, handler in before.items():
            signal.signal(number, handler)
        return self._complete

    def _fork(self) -> None:
        first = not self._complete
        # A signal that comes before the child can deal with it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
        heartbeat = Heartbeat()
        pid = os.fork()
        if pid == 0:
            self._be_worker(first, heartbeat)
        self._workers[pid] = _Worker(time.monotonic(), heartbeat)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)

    def _be_worker(self, first: bool, heartbeat: Heartbeat) -> NoReturn:
        code = 1
        try:
            os.setpgid(0, 0)  # Ctrl-C is for the parent, which then stops its workers
            signal.set_wakeup_fd(-1)
            for number in (signal.SIGTERM, signal.SIGCHLD):
                signal.signal(number, signal.SIG_DFL)
            signal.signal(signal.SIGINT, signal.default_int_handler)
            draining.all_workers_stop = lambda: draining.immediate or self._all_stop[0] != 0
            hangup.install()  # until it has a policy to reload
            for end in (self._heard, self._wake, self._readied, self._life):
                os.close(end)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
            threading.Thread(target=self._end_with_the_parent, name="parent", daemon=True).start()

            def ready() -> None:
                heartbeat.start()  # first: a worker that is known to serve and then stands still is one that hangs
                os.write(self._ready, os.getpid().to_bytes(4, "big"))

            explained(self._work)(first, ready)
            code = 0
        except SystemExit as ended:
            code = ended.code if isinstance(ended.code, int) else 1
        except BaseException:  # noqa: BLE001  # reported here, since no caller is above
            _log.exception("a worker failed")
        finally:
            os._exit(code)

    def _end_with_the_parent(self) -> None:
        """However the parent ends, no worker stays behind on its port."""
        os.read(self._parent_lives, 1)  # returns when the other end is closed
        self._abandoned()
        draining.immediate = True
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(self._stop_seconds)
        os._exit(1)

    def _wait(self) -> None:
        times = [self._check_at, *self._due, *([self._kill_at] if self._kill_at is not None else [])]
        pause = max(0.0, min(times) - time.monotonic())
        select.select([self._heard, self._readied], [], [], pause)

    @staticmethod
    def _read(end: int, size: int) -> list[bytes]:
        with suppress(BlockingIOError):
            data = os.read(end, 4096)  # written in whole pieces
            return [data[start : start + size] for start in range(0, len(data), size)]
        return []

    def _on_signal(self, number: signal.Signals) -> None:
        if number == signal.SIGHUP:
            self._tell(number)
        elif number in (signal.SIGTERM, signal.SIGINT):
            if self._kill_at is None:
                self.ended_by = number
                self._stop()
            elif number == signal.SIGINT:  # the second one: at once
                self._tell(number)

    def _stop(self) -> None:
        self._kill_at = time.monotonic() + self._stop_seconds
        self._all_stop[0] = 1
        self._listener.close()
        self._tell(signal.SIGTERM)

    def _tell(self, number: signal.Signals) -> None:
        for pid in self._workers:
            os.kill(pid, number)  # it is a child that was not waited for, so it is no other process

    def _note_ready(self, pid: int) -> None:
        if pid in self._workers:
            self._workers[pid].ready = True
        if self._complete or self._kill_at is not None or len(self._workers) < self._count:
            return
        if all(worker.ready for worker in self._workers.values()):
            self._complete = True
            self._started()

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == 0:
                return
            worker = self._workers.pop(pid)
            worker.heartbeat.close()
            if self._kill_at is not None:
                continue
            code = os.waitstatus_to_exitcode(status)
            how = worker.killed or (f"signal {-code}" if code < 0 else f"exit code {code}")
            if not self._complete and not worker.killed:
                _log.error("a worker did not start", worker=pid, how=how)
                self._stop()
                continue
            steady = worker.ready and time.monotonic() - worker.began >= _STEADY_SECONDS
            self._failures = 0 if steady else self._failures + 1
            pause = 0.0 if steady else min(_LONGEST_WAIT, 0.1 * 2**self._failures)
            _log.error("a worker died and is replaced", worker=pid, how=how, in_seconds=pause)
            self._due.append(time.monotonic() + pause)

    def _kill_hung(self) -> None:
        """Kill each worker whose event loop stands still, or that does not start; it cannot hear anything gentler.

        Like beats, the seconds of a start are counted in checks: those in which the machine slept do not count.
        """
        for pid, worker in self._workers.items():
            worker.starting_looks += not worker.ready
            if worker.killed:
                continue
            if worker.heartbeat.look() >= self._hung_looks:
                worker.killed = "hung"
                _log.error("a worker hung and is killed", worker=pid, silent_seconds=self._hung_looks * BEAT_SECONDS)
            elif worker.starting_looks >= self._start_looks and self._kill_at is None:
                worker.killed = "did not serve in time"
                seconds = self._start_looks * BEAT_SECONDS
                _log.error("a worker does not serve and is killed", worker=pid, in_seconds=seconds, hint=_WHY_NO_START)
            if worker.killed:
                os.kill(pid, signal.SIGKILL)

    def _act_in_time(self) -> None:
        now = time.monotonic()
        if now >= self._check_at:
            self._check_at = now + BEAT_SECONDS
            self._kill_hung()
        if self._kill_at is None:
            for due in [due for due in self._due if due <= now]:
                self._due.remove(due)
                self._fork()
        elif now >= self._kill_at and self._workers:
            _log.error("workers did not stop and are killed", workers=list(self._workers))
            self._tell(signal.SIGKILL)
            self._kill_at = now + self._stop_seconds

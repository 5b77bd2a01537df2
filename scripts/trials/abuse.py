"""Attack a server, and see how long a known caller waits meanwhile.

    .venv/bin/python scripts/trials/abuse.py --server both --database both --seconds 10

The server has a core, and all load another. In each round an attack runs for so many seconds, and then as many good
requests a second, on as many connections, take its place. All the while a known caller, by token and by key, asks at a
constant rate. The table has medians of the rounds, in milliseconds. Exits with 1 when the known caller's 99th
percentile is more than twice as long under an attack, when one of its requests fails, when an attack is answered with
what it must not be, or when the server's memory grows by 50 MB.

`-spread` are attacks from very many addresses, through a trusted proxy, so that no budget of an address is spent.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import get_args
from urllib.parse import urlsplit

sys.path.insert(0, str(Path(__file__).parents[2]))

from app.settings import ServerName
from scripts.trials.abuse_attacks import CONNECTIONS, Attack, Callers, attacks, one_of
from scripts.trials.abuse_load import LOWER_PRIORITY, Connections, LoadProcess, Outcome, ask_at_rate
from scripts.trials.abuse_server import LOAD_CORE, attacked, memory_of
from tests.databases import Kind, Postgres
from tests.issuer import LiveIssuer
from tests.server import DATABASE, Server

MAX_RATIO = 2.0
MAX_GROWTH = 50.0  # MB
_KNOWN_RATE = 100.0  # requests a second, half of them by a token and half by a key
_AROUND_SECONDS = 0.25  # for which the other load begins before the known caller, and ends after it
_SETTLE_SECONDS = 1.0
_SAMPLE_SECONDS = 0.1
_COLUMNS = (("rate/s", 8), ("good/s", 8), ("p50", 8), ("p99", 8), ("attacked", 9), ("p99", 8), ("ratio", 6))
HEAD = f"{'attack':20} {' '.join(f'{name:>{width}}' for name, width in _COLUMNS)}  fails     MB  answers"


@dataclass(frozen=True, slots=True)
class Side:
    """What the known caller saw for some seconds, in milliseconds, and what came of the other load."""

    p50: float
    p99: float
    failures: Counter[int]
    load: Outcome


@dataclass(slots=True)
class Line:
    """An attack in all of its rounds; `growth` is of the server's memory, in MB."""

    attack: Attack
    good: list[Side] = field(default_factory=list)
    under: list[Side] = field(default_factory=list)
    growth: float = 0.0

    @property
    def ratio(self) -> float:
        """Of the known caller's 99th percentiles."""
        return _median(side.p99 for side in self.under) / _median(side.p99 for side in self.good)

    @property
    def answers(self) -> Counter[int]:
        """What the attack was answered with."""
        return _sum(side.load.answers for side in self.under)

    @property
    def failures(self) -> Counter[int]:
        """What the known caller was answered with instead of 200."""
        return _sum(side.failures for side in (*self.under, *self.good))

    def faults(self) -> Iterator[str]:
        """The bounds that do not hold, apart from that of time."""
        if self.failures:
            yield f"{self.attack.name}: the known caller was answered with {dict(self.failures)}"
        if wrong := {status: times for status, times in self.answers.items() if status not in self.attack.answers}:
            yield f"{self.attack.name}: the attack was answered with {wrong}"
        if self.growth >= MAX_GROWTH:
            yield f"{self.attack.name}: memory grew by {self.growth:.0f} MB"

    def __str__(self) -> str:
        figures = (
            f"{_median(side.load.rate for side in self.under):.0f}",
            f"{_median(side.load.rate for side in self.good):.0f}",
            f"{_median(side.p50 for side in self.good):.2f}",
            f"{_median(side.p99 for side in self.good):.2f}",
            f"{_median(side.p50 for side in self.under):.2f}",
            f"{_median(side.p99 for side in self.under):.2f}",
            f"{self.ratio:.2f}",
        )
        cells = " ".join(f"{figure:>{width}}" for figure, (_, width) in zip(figures, _COLUMNS, strict=True))
        return f"{self.attack.name:20} {cells}  {self.failures.total():5} {self.growth:6.1f}  {dict(self.answers)}"


class Trial:
    """A server with its callers, under one load after the other."""

    def __init__(self, server: Server, callers: Callers) -> None:
        self._server = server
        self._callers = callers
        url = urlsplit(server.url)
        self._address = (url.hostname or "", url.port or 0)

    def attack(self, line: Line, seconds: float, settle_seconds: float = _SETTLE_SECONDS) -> None:
        """Attack for one round."""
        before = memory_of(self._server)
        with _sampled(self._server) as samples:
            work = partial(line.attack.run, self._address, seconds + 2 * _AROUND_SECONDS)
            line.under.append(self._side(LoadProcess(work, LOAD_CORE, LOWER_PRIORITY), seconds))
            time.sleep(settle_seconds)
        line.growth = max(line.growth, max(samples) - before)

    def ask(self, line: Line, seconds: float) -> None:
        """Let as many good requests take the place of the attack for one round."""
        rate = max(1.0, _median(side.load.rate for side in line.under))
        line.good.append(self.good(rate, seconds))
        time.sleep(_SETTLE_SECONDS)

    def good(self, rate: float, seconds: float) -> Side:
        """What the known caller sees beside so many good requests a second."""
        connections = Connections(self._address, CONNECTIONS)
        good = partial(one_of, self._callers.good)
        work = partial(ask_at_rate, connections, seconds + 2 * _AROUND_SECONDS, rate, good)
        return self._side(LoadProcess(work, LOAD_CORE, LOWER_PRIORITY), seconds)

    def _side(self, load: LoadProcess, seconds: float) -> Side:
        time.sleep(_AROUND_SECONDS)
        known = partial(one_of, self._callers.known)
        work = partial(ask_at_rate, Connections(self._address, 0), seconds, _KNOWN_RATE, known, is_open=True)
        seen = LoadProcess(work, LOAD_CORE).result()
        hundredths = statistics.quantiles([1000 * took for took in seen.took], n=100)
        failures = Counter({status: times for status, times in seen.answers.items() if status != 200})
        return Side(hundredths[49], hundredths[98], failures, load.result())


def _median(values: Iterable[float]) -> float:
    return statistics.median(values)


def _sum(counts: Iterable[Counter[int]]) -> Counter[int]:
    return sum(counts, Counter[int]())


@contextmanager
def _sampled(server: Server) -> Iterator[list[float]]:
    """The memory of a server, sampled while the block runs."""
    samples, over = [memory_of(server)], threading.Event()

    def sample() -> None:
        while not over.wait(_SAMPLE_SECONDS):
            samples.append(memory_of(server))

    thread = threading.Thread(target=sample, daemon=True)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def main() -> int:
    """Try what was asked for, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--server", choices=(*get_args(ServerName), "both"), default="both")
    parser.add_argument("--database", choices=(*get_args(Kind), "both"), default="both")
    parser.add_argument("--attack", action="append", metavar="NAME", help="may be repeated; all if none is named")
    parser.add_argument("--seconds", type=float, default=10.0, help="of each side of a round (default 10)")
    parser.add_argument("--rounds", type=int, default=3, help="(default 3)")
    chosen = parser.parse_args()
    os.sched_setaffinity(0, {LOAD_CORE})  # PostgreSQL's, too: it is mostly on another machine
    faults = []
    for database in get_args(Kind) if chosen.database == "both" else (chosen.database,):
        for server in get_args(ServerName) if chosen.server == "both" else (chosen.server,):
            print(f"\n{server}, {database}\n{HEAD}", flush=True)
            with ExitStack() as stack:
                place = Path(stack.enter_context(tempfile.TemporaryDirectory()))
                url = f"sqlite:///{place / DATABASE}"
                if database == "postgresql":
                    postgres = Postgres()
                    stack.callback(postgres.stop)
                    url = postgres.new(prepared=True)
                issuer = stack.enter_context(LiveIssuer())
                started, callers = stack.enter_context(attacked(server, place, issuer, url))
                trial, every = Trial(started, callers), attacks(callers)
                trial.good(100, 2)  # fills caches
                for name in chosen.attack or every:
                    line = Line(every[name])
                    for _ in range(chosen.rounds):
                        trial.attack(line, chosen.seconds)
                        trial.ask(line, chosen.seconds)
                    print(line, flush=True)
                    faults += [f"{server}, {database}: {fault}" for fault in line.faults()]
                    if line.ratio > MAX_RATIO:
                        faults.append(f"{server}, {database}: {name}: it waits {line.ratio:.2f} times as long")
    print("\n".join(faults) or "all bounds hold")
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())

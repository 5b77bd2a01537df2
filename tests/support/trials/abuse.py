"""Attack a server, and measure the latency of a known caller."""

from __future__ import annotations

import json
import secrets
import statistics
import threading
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from urllib.parse import urlsplit

from tests.support.server import Server, eventually
from tests.support.trials.abuse_attacks import CONNECTIONS, KNOWN, Attack, Callers, Marked, one_of
from tests.support.trials.abuse_load import LOWER_PRIORITY, Connections, LoadProcess, Outcome, ask_at_rate
from tests.support.trials.abuse_server import LOAD_CORE, memory_of

MAX_RATIO = 2.0
MAX_GROWTH = 50.0  # MB
_KNOWN_RATE = 100.0  # requests a second, half of them by a token and half by a key
_AROUND_SECONDS = 0.25  # by which the other load begins before the known caller, and ends after it
_SETTLE_SECONDS = 1.0
_SAMPLE_SECONDS = 0.1
_LOG_SECONDS = 10.0  # until the decisions of a round are in the log
_COLUMNS = (("rate/s", 8), ("good/s", 8), ("p50", 8), ("p99", 8), ("attacked", 9), ("p99", 8), ("ratio", 6))
HEAD = f"{'attack':20} {' '.join(f'{name:>{width}}' for name, width in _COLUMNS)}  fails     MB  answers"


@dataclass(frozen=True, slots=True)
class Side:
    """The latency of the known caller in milliseconds, the outcome of the other load, and its number of requests."""

    p50: float
    p99: float
    failures: Counter[int]
    load: Outcome
    sent: int


@dataclass(slots=True)
class Line:
    """An attack in all of its rounds; `growth` is of the server's memory, in MB.

    `marked` requests of the known caller were answered during it, and `missing` of them are not in the decision log.
    """

    attack: Attack
    good: list[Side] = field(default_factory=list)
    under: list[Side] = field(default_factory=list)
    growth: float = 0.0
    marked: int = 0
    missing: int = 0

    @property
    def ratio(self) -> float:
        """Of the known caller's 99th percentiles."""
        return _median(side.p99 for side in self.under) / _median(side.p99 for side in self.good)

    @property
    def answers(self) -> Counter[int]:
        """The answers to the attack."""
        return _sum(side.load.answers for side in self.under)

    @property
    def failures(self) -> Counter[int]:
        """The answers to the known caller other than 200."""
        return _sum(side.failures for side in (*self.under, *self.good))

    def faults(self) -> Iterator[str]:
        """The violated bounds, except that of latency."""
        if self.failures:
            yield f"{self.attack.name}: the known caller was answered with {dict(self.failures)}"
        if wrong := {status: times for status, times in self.answers.items() if status not in self.attack.answers}:
            yield f"{self.attack.name}: the attack was answered with {wrong}"
        if self.missing:
            yield f"{self.attack.name}: {self.missing} of {self.marked} requests of the known caller are not in the log"
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
    """A server and its callers under a sequence of loads."""

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
            mark = secrets.token_hex(8)
            line.under.append(self._side(LoadProcess(work, LOAD_CORE, LOWER_PRIORITY), seconds, mark))
            time.sleep(settle_seconds)
        self._count_logged(line, mark)
        line.growth = max(line.growth, max(samples) - before)

    def ask(self, line: Line, seconds: float) -> None:
        """Send valid requests at the rate of the attack for one round."""
        rate = max(1.0, _median(side.load.rate for side in line.under))
        line.good.append(self.good(rate, seconds))
        time.sleep(_SETTLE_SECONDS)

    def good(self, rate: float, seconds: float) -> Side:
        """The latency of the known caller during `rate` valid requests per second."""
        connections = Connections(self._address, CONNECTIONS)
        good = partial(one_of, self._callers.good)
        work = partial(ask_at_rate, connections, seconds + 2 * _AROUND_SECONDS, rate, good)
        return self._side(LoadProcess(work, LOAD_CORE, LOWER_PRIORITY), seconds)

    def _count_logged(self, line: Line, mark: str) -> None:
        """Count which requests of the known caller are in the decision log."""
        sent = line.under[-1].sent
        with self._server.client(self._callers.reader) as client:

            def missing() -> int:
                export = client.get("/api/v1/decisions/export", params={"subject": KNOWN, "since": "1h"}, timeout=60)
                ids = {json.loads(text).get("request_id") for text in export.raise_for_status().text.splitlines()}
                return sent - len(ids & {f"{mark}-{number}" for number in range(1, sent + 1)})

            line.marked += sent
            if not eventually(lambda: missing() == 0, _LOG_SECONDS):
                line.missing += missing()

    def _side(self, load: LoadProcess, seconds: float, mark: str = "") -> Side:
        time.sleep(_AROUND_SECONDS)
        known = Marked(self._callers.known, mark) if mark else partial(one_of, self._callers.known)
        work = partial(ask_at_rate, Connections(self._address, 0), seconds, _KNOWN_RATE, known, is_open=True)
        seen = LoadProcess(work, LOAD_CORE).result()
        hundredths = statistics.quantiles([1000 * took for took in seen.took], n=100)
        failures = Counter({status: times for status, times in seen.answers.items() if status != 200})
        return Side(hundredths[49], hundredths[98], failures, load.result(), seen.answers.total())


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

"""Runs targets: first their seeds, then generated cases in rounds, until the time or the number of cases is over."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, Phase, given, seed, settings

from scripts.fuzz.corpus import seeds_of
from scripts.fuzz.target import MAX_SECONDS, Check, Target, Violation

FIRST_ROUND, MAX_ROUND = 50, 2_000  # cases of one target, before the next has its turn
ROUND_SECONDS = 10.0  # that a round should take
_AGAIN = 2  # times that a slow case is tried once more: a busy machine makes one slow by chance


@dataclass(slots=True)
class Tally:
    """What became of one target so far. `slowest` is in seconds of processor time."""

    cases: int = 0
    seconds: float = 0.0
    slowest: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """An input, and what went wrong with it."""

    target: str
    data: bytes
    message: str


# Called with each case before it runs, so that another process can say which one hangs.
Announce = Callable[[str, bytes], None]


@dataclass(slots=True)
class Campaign:
    """Targets by the names of their modules, each with a tally. `seed` chooses the cases."""

    modules: Sequence[str]
    seed: int
    announce: Announce
    max_seconds: float = MAX_SECONDS
    tallies: dict[str, Tally] = field(default_factory=dict)

    def run(self, *, until: float, cases: int) -> Iterator[Failure]:
        """Run seeds and up to so many generated cases of each target; no round begins after `until`.

        A target that failed is left out from then on. Time is monotonic.
        """
        with ExitStack() as stack:
            checks: dict[str, tuple[Target, Check]] = {}
            for module in self.modules:
                target = load(module)
                self.tallies[target.name] = Tally()
                checks[target.name] = target, stack.enter_context(target.opened())
            for target, check in list(checks.values()):
                for data in (*target.examples, *seeds_of(target.name)):
                    if failure := self._attempt(target, check, data):
                        checks.pop(target.name, None)
                        yield failure
                        break
            counts, left = dict.fromkeys(checks, FIRST_ROUND), dict.fromkeys(checks, cases)
            for number in count(1):
                for name, (target, check) in list(checks.items()):
                    if time.monotonic() >= until:
                        return
                    size = min(counts[name], left[name])
                    began = time.monotonic()
                    if failure := self._round(target, check, self.seed * 1_000_003 + number, size):
                        yield failure
                    left[name] -= size
                    took = time.monotonic() - began
                    counts[name] = min(max(int(size * ROUND_SECONDS / took), FIRST_ROUND), 2 * size, MAX_ROUND)
                    if failure or not left[name]:
                        del checks[name]
                if not checks:
                    return

    def replay(self, data: bytes) -> Failure | None:
        """Run one case of the one target."""
        target = load(self.modules[0])
        self.tallies[target.name] = Tally()
        with target.opened() as check:
            return self._attempt(target, check, data)

    def _attempt(self, target: Target, check: Check, data: bytes) -> Failure | None:
        try:
            self._one(target.name, check, data)
        except Exception as error:  # noqa: BLE001  # whatever it is, it is what is looked for
            return Failure(target.name, data, described(error))
        return None

    def _round(self, target: Target, check: Check, number: int, size: int) -> Failure | None:
        """Generated cases; the failure that is smallest, if there is one."""
        failed: list[tuple[bytes, Exception]] = []

        @seed(number)
        @settings(
            max_examples=size,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
            report_multiple_bugs=False,
        )
        @given(target.inputs(seeds_of(target.name)))
        def cases(data: bytes) -> None:
            try:
                self._one(target.name, check, data)
            except Exception as error:
                failed.append((data, error))
                del failed[:-1]  # the last one is the smallest
                raise

        try:
            cases()
        except Exception:
            if not failed:
                raise
        return Failure(target.name, failed[0][0], described(failed[0][1])) if failed else None

    def _one(self, name: str, check: Check, data: bytes) -> None:
        """One case. Raises Violation when it takes too long, each of three times."""
        self.announce(name, data)
        tally = self.tallies[name]
        seconds = _timed(check, data)
        for _ in range(_AGAIN):
            if seconds <= self.max_seconds:
                break
            seconds = min(seconds, _timed(check, data))
        tally.cases += 1
        tally.seconds += seconds
        tally.slowest = max(tally.slowest, seconds)
        if seconds > self.max_seconds:
            raise Violation(f"took {seconds:.2f} s of processor time, where {self.max_seconds} s are the most")


def _timed(check: Check, data: bytes) -> float:
    began = time.process_time()
    check(data)
    return time.process_time() - began


def load(module: str) -> Target:
    """The target of a module."""
    target: Target = importlib.import_module(module).TARGET
    return target


def described(error: BaseException) -> str:
    """What went wrong, with the place of an exception that no target expects."""
    if isinstance(error, Violation):
        return str(error)
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f" at {trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
    return f"{type(error).__name__}{place}: {str(error)[:1_000]}"

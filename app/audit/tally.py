"""Durations by their labels: requests append them, and the reader of a metric adds them up.

On the path of a request there are two or three dictionary look-ups and the append. The buckets of a histogram are
powers of two in nanoseconds, so that adding up many durations takes no comparison in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from app.audit.record import Unverified
from app.identity.errors import REASON_CODES
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

Labels = tuple[str, ...]
MAX_SERIES = 20_000  # of a tally; all further ones are counted together
_STEP = 5_000  # durations, which are added up in a quarter of a millisecond
UNKNOWN = "unknown"  # a resource that is not a route, or a subject that does not exist
UNAVAILABLE = "unavailable"  # a caller that could not be verified at the time
OTHER = "other"
# Requests without a route have the label of those without a rule: labels of metrics are public and do not change.
_REASONS: dict[str, str] = {
    **{str(reason): reason.name.lower() for reason in Reason},
    **dict.fromkeys(map(str, (Reason.NO_ROUTE, Reason.NO_SERVICE, Reason.CLOSED)), "unruled"),
}


class Series:
    """Durations in nanoseconds: the recent ones, and of the others the sum and the counts by number of bits."""

    __slots__ = ("_bits", "_total", "recent")

    def __init__(self) -> None:
        self.recent: list[int] = []
        self._total = 0
        self._bits: Counter[int] = Counter()

    def add_up(self) -> Iterator[None]:
        """Add the recent durations to the sum and the counts, and yield between steps."""
        while self.recent:
            some = self.recent[:_STEP]
            del self.recent[:_STEP]
            self._total += sum(some)
            self._bits.update(map(int.bit_length, some))
            yield

    def added_up(self) -> tuple[int, dict[int, int]]:
        """The sum, and the counts by number of bits: durations with n bits are under 2**n nanoseconds."""
        for _ in self.add_up():
            pass
        return self._total, dict(self._bits)


class Tally:
    """Series by their labels."""

    __slots__ = ("series",)

    def __init__(self) -> None:
        self.series: dict[Labels, Series] = {}

    def recent(self, *labels: str) -> list[int]:
        """The list to which durations with these labels are appended; always the same list for the same labels."""
        found = self.series.get(labels)
        if found is None:
            if len(self.series) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            found = self.series.setdefault(labels, Series())
        return found.recent

    def add_up(self) -> Iterator[None]:
        """Add up the recent durations, which frees their memory, and yield between steps."""
        for series in tuple(self.series.values()):
            yield from series.add_up()

    def added_up(self) -> Iterator[tuple[Labels, int, dict[int, int]]]:
        """Yield the labels of each series, the sum in nanoseconds, and the counts by number of bits."""
        for labels, series in self.series.items():
            yield (labels, *series.added_up())


class Outcomes(Tally):
    """The latencies of decisions by resource, door, verdict and reason.

    `is_route` distinguishes route templates, whose number is bounded, from resources that callers choose.
    """

    __slots__ = ("_is_route", "known")

    def __init__(self, is_route: Callable[[str], bool] = lambda _: False) -> None:
        super().__init__()
        self._is_route = is_route
        # By door, resource and reason: the lists of all decisions except the first of its kind.
        self.known: dict[str, dict[str, dict[str, list[int]]]] = {}

    def first(self, door: str, resource: str, outcome: Decision | Unverified) -> list[int]:
        """The list for an outcome that is not in `known`; it is added there if the number of its kind is bounded."""
        decided = isinstance(outcome, Decision)
        word = (_REASONS if decided else REASON_CODES).get(outcome.reason)
        is_route = self._is_route(resource)
        allowed = "allow" if outcome else "deny"
        unverified = UNKNOWN if door == "authzen" else UNAVAILABLE
        recent = self.recent(resource if is_route else UNKNOWN, door, allowed, word or unverified)
        if word and is_route and len(self.series) < MAX_SERIES:
            self.known.setdefault(door, {}).setdefault(resource, {})[outcome.reason] = recent
        return recent

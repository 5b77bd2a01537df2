"""How often and for how long: durations by what they are of, noted with an append and added up on request.

What is on the path of a request is two or three look-ups by text and the append. A histogram's buckets are powers of
two in nanoseconds, so that adding up many durations takes no comparison in Python.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator

from app.audit.record import Unverified
from app.identity.errors import WORDS
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

Labels = tuple[str, ...]
MAX_SERIES = 20_000  # of one tally; what comes after is counted together
UNKNOWN = "unknown"  # a resource that is no route, or a question about a subject that there is not
UNAVAILABLE = "unavailable"  # a caller who could not be verified at the time
OTHER = "other"
# What has no route is counted as what no rule speaks of: the labels of a metric are public, and stay as they are.
_REASONS: dict[str, str] = {
    **{str(reason): reason.name.lower() for reason in Reason},
    **dict.fromkeys(map(str, (Reason.NO_ROUTE, Reason.NO_SERVICE, Reason.CLOSED)), "unruled"),
}


class Series:
    """Durations of one kind, in nanoseconds: those not yet added up, their sum, and how many have so many bits."""

    __slots__ = ("_bits", "_total", "recent")

    def __init__(self) -> None:
        self.recent: list[int] = []
        self._total = 0
        self._bits: Counter[int] = Counter()

    def add_up(self) -> None:
        """Let what is recent become a few numbers."""
        if self.recent:
            self._total += sum(self.recent)
            self._bits.update(map(int.bit_length, self.recent))
            self.recent.clear()

    def added_up(self) -> tuple[int, dict[int, int]]:
        """The sum, and the numbers of durations by their bits: with n bits they are under 2**n nanoseconds."""
        self.add_up()
        return self._total, dict(self._bits)


class Tally:
    """Series by their labels."""

    __slots__ = ("series",)

    def __init__(self) -> None:
        self.series: dict[Labels, Series] = {}

    def recent(self, *labels: str) -> list[int]:
        """Where durations with these labels are appended. The list stays the same for as long as the tally is."""
        found = self.series.get(labels)
        if found is None:
            if len(self.series) >= MAX_SERIES:
                labels = (OTHER,) * len(labels)
            found = self.series.setdefault(labels, Series())
        return found.recent

    def add_up(self) -> None:
        """Let what is recent become a few numbers, so that it takes no room."""
        for series in self.series.values():
            series.add_up()

    def added_up(self) -> Iterator[tuple[Labels, int, dict[int, int]]]:
        """Of each series its labels, the sum in nanoseconds, and the numbers by bits."""
        for labels, series in self.series.items():
            yield (labels, *series.added_up())


class Outcomes(Tally):
    """What was decided at every door, and for how long: by resource, door, verdict and reason.

    `is_route` tells templates, whose number is bounded, from what a caller may name without end.
    """

    __slots__ = ("_is_route", "known")

    def __init__(self, is_route: Callable[[str], bool] = lambda _: False) -> None:
        super().__init__()
        self._is_route = is_route
        # By door, resource and reason as they are noted: the way of all but the first of each.
        self.known: dict[str, dict[str, dict[str, list[int]]]] = {}

    def first(self, door: str, resource: str, outcome: Decision | Unverified) -> list[int]:
        """Where to append the duration of an outcome that is not `known`; it is from here on, if there is an end
        of its like."""
        decided = isinstance(outcome, Decision)
        word = (_REASONS if decided else WORDS).get(outcome.reason)
        is_route = self._is_route(resource)
        allowed = "allow" if outcome else "deny"
        unverified = UNKNOWN if door == "authzen" else UNAVAILABLE
        recent = self.recent(resource if is_route else UNKNOWN, door, allowed, word or unverified)
        if word and is_route and len(self.series) < MAX_SERIES:
            self.known.setdefault(door, {}).setdefault(resource, {})[outcome.reason] = recent
        return recent

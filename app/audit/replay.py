"""Replay: what callers really asked, decided once more under a candidate policy.

Decisions that are alike are decided once. What a condition would have read is not in the log, so where the verdict
hangs on one, it is counted as not to be told and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from app.audit.record import GrantSet
from app.identity.principal import Method
from app.policy.contextless import decide_without_context
from app.policy.decision import Decision
from app.policy.snapshot import Snapshot


class Alike(NamedTuple):
    """What decisions have in common that differ in nothing that a policy knows, but for conditions."""

    grants: GrantSet | None
    method: Method | None
    subject: str
    key_id: int | None
    resource: str
    action: str
    allowed: bool


class Times(NamedTuple):
    """How often something was decided, and the id of the last time."""

    number: int
    last_id: int


class Told(Enum):
    """What a replay can say of a decision."""

    SAME = "same"
    GAINED = "gained"
    LOST = "lost"
    CONDITION = "condition"  # the verdict hangs on a condition
    UNVERIFIED = "unverified"  # the credentials were bad, so no policy was asked
    UNKNOWN = "unknown"  # what the caller held is not in the log


@dataclass(frozen=True, slots=True)
class Change:
    """Who would gain or lose what, how often it was asked for, and the decision that says so."""

    alike: Alike
    times: Times
    told: Told
    decision: Decision


_MAX_REMEMBERED = 100_000
_Caller = tuple[bytes, str, int | None]  # a grant set by its digest, and whose it is


@dataclass(slots=True)
class Replay:
    """Adds up decisions under a candidate. `counts` are of decisions, not of groups that are alike.

    With `most`, no more changes than that are kept apart, the first ones; `counts` are of all.
    """

    snapshot: Snapshot
    most: int | None = None
    counts: dict[Told, int] = field(default_factory=lambda: dict.fromkeys(Told, 0))
    _changes: dict[Alike, Change] = field(default_factory=dict)
    _decided: dict[tuple[_Caller, str, str], Decision | None] = field(default_factory=dict)
    _held: dict[_Caller, frozenset[str]] = field(default_factory=dict)

    def add(self, groups: Iterable[tuple[Alike, Times]]) -> None:
        """Decide each group. The same may come again with further times."""
        for alike, times in groups:
            told, decision = self._tell(alike)
            self.counts[told] += times.number
            if decision is None or told not in (Told.GAINED, Told.LOST):
                continue
            if alike in self._changes or self.most is None or len(self._changes) < self.most:
                before = self._changes[alike].times if alike in self._changes else Times(0, 0)
                total = Times(before.number + times.number, max(before.last_id, times.last_id))
                self._changes[alike] = Change(alike, total, told, decision)

    @property
    def changes(self) -> list[Change]:
        """Gains before losses, and what was asked for most often first."""
        return sorted(
            self._changes.values(),
            key=lambda change: (
                change.told is Told.LOST,
                -change.times.number,
                change.alike.subject,
                change.alike[4:6],
            ),
        )

    def _tell(self, alike: Alike) -> tuple[Told, Decision | None]:
        if alike.grants is None:
            return (Told.UNVERIFIED if alike.method is None else Told.UNKNOWN), None
        caller = (alike.grants.digest, alike.subject, alike.key_id)
        asked = (caller, alike.resource, alike.action)
        if asked in self._decided:
            decision = self._decided[asked]
        else:
            if len(self._decided) >= _MAX_REMEMBERED:
                self._decided.clear()
                self._held.clear()
            if (held := self._held.get(caller)) is None:
                held = self._held[caller] = alike.grants.held_by(alike.subject, alike.key_id)
            decision = decide_without_context(self.snapshot, held, alike.resource, alike.action)
            self._decided[asked] = decision
        if decision is None:  # a condition has the last word
            return Told.CONDITION, None
        if decision.allowed is alike.allowed:
            return Told.SAME, decision
        return (Told.GAINED if decision else Told.LOST), decision

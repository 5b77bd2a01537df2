"""Replay: what callers really asked, decided under the active policy and under a candidate.

A change is where these two differ. What the log says was decided then is compared with the active policy alone, as a
count: a candidate is not blamed for what earlier changes did. Decisions that are alike are decided once. What a
condition would have read is not in the log: where a verdict depends on one and both policies do not decide by the very
same rows, it is counted as not to be told and never guessed.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from app.audit.record import StatedGrants
from app.identity.principal import Method
from app.policy.analysis.contextless import decide_without_context
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.entities import FOLDER


class DecisionKey(NamedTuple):
    """What decisions have in common that differ in nothing that a policy knows, but for conditions."""

    grants: StatedGrants | None
    method: Method | None
    subject: str
    key_id: int | None
    resource: str
    action: str
    allowed: bool


class Occurrences(NamedTuple):
    """How often something was decided, and the id of the last time."""

    number: int
    last_id: int


class ReplayOutcome(Enum):
    """What a replay can say of a decision."""

    SAME = "same"  # under both policies
    GAINED = "gained"
    LOST = "lost"
    CONDITION = "condition"  # the verdict depends on a condition
    UNVERIFIED = "unverified"  # the credentials were bad, so no policy was asked
    UNKNOWN = "unknown"  # what the caller held is not in the log


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """Who would gain or lose what, how often it was asked for, and the decision that says so."""

    alike: DecisionKey
    times: Occurrences
    told: ReplayOutcome
    decision: Decision


_MAX_REMEMBERED = 100_000
_Caller = tuple[bytes, str, int | None]  # a grant set by its digest, and whose it is


class _Verdicts(NamedTuple):
    """What the active policy and the candidate decide; None where a condition has the last word."""

    active: Decision | None
    candidate: Decision | None
    alike: bool  # both by the same rows, so that no condition can part them


@dataclass(slots=True)
class Replay:
    """Adds up decisions under a candidate, compared with those of the active policy.

    `counts` are of decisions, not of groups that are alike, and so is `changed_since`: how many the active policy
    decides otherwise than was logged. With `most`, no more changes than that are kept apart, the first ones; `counts`
    are of all.
    """

    snapshot: Snapshot
    active: Snapshot
    most: int | None = None
    counts: dict[ReplayOutcome, int] = field(default_factory=lambda: dict.fromkeys(ReplayOutcome, 0))
    changed_since: int = 0
    _changes: dict[DecisionKey, VerdictChange] = field(default_factory=dict)
    _decided: dict[tuple[_Caller, str, str], _Verdicts] = field(default_factory=dict)
    _held: dict[_Caller, frozenset[str]] = field(default_factory=dict)
    _same_entities: bool = field(init=False)

    def __post_init__(self) -> None:
        # The active one serves requests, whose cache this must not fill.
        self.active = self.active.detached()
        self._same_entities = _entity_files(self.active) == _entity_files(self.snapshot)

    def add(self, groups: Iterable[tuple[DecisionKey, Occurrences]]) -> None:
        """Decide each group. The same may come again with further times."""
        for alike, times in groups:
            told, decision = self._tell(alike, times.number)
            self.counts[told] += times.number
            if decision is None or told not in (ReplayOutcome.GAINED, ReplayOutcome.LOST):
                continue
            # As the active policy decides it now: what it was at the time makes no two changes of one.
            alike = alike._replace(allowed=not decision.allowed)  # noqa: PLW2901
            if alike in self._changes or self.most is None or len(self._changes) < self.most:
                before = self._changes[alike].times if alike in self._changes else Occurrences(0, 0)
                total = Occurrences(before.number + times.number, max(before.last_id, times.last_id))
                self._changes[alike] = VerdictChange(alike, total, told, decision)

    @property
    def changes(self) -> list[VerdictChange]:
        """Gains before losses, and what was asked for most often first."""
        return sorted(
            self._changes.values(),
            key=lambda change: (
                change.told is ReplayOutcome.LOST,
                -change.times.number,
                change.alike.subject,
                change.alike[4:6],
            ),
        )

    def _tell(self, alike: DecisionKey, number: int) -> tuple[ReplayOutcome, Decision | None]:
        if alike.grants is None:
            return (ReplayOutcome.UNVERIFIED if alike.method is None else ReplayOutcome.UNKNOWN), None
        caller = (alike.grants.digest, alike.subject, alike.key_id)
        verdicts = self._decided.get((caller, alike.resource, alike.action))
        if verdicts is None:
            verdicts = self._decide(caller, alike)
        active, candidate = verdicts.active, verdicts.candidate
        if active is not None and active.allowed is not alike.allowed:
            self.changed_since += number
        if active is None or candidate is None:  # a condition has the last word
            return (ReplayOutcome.SAME if verdicts.alike else ReplayOutcome.CONDITION), None
        if candidate.allowed is active.allowed:
            return ReplayOutcome.SAME, candidate
        return (ReplayOutcome.GAINED if candidate else ReplayOutcome.LOST), candidate

    def _decide(self, caller: _Caller, alike: DecisionKey) -> _Verdicts:
        if len(self._decided) >= _MAX_REMEMBERED:
            self._decided.clear()
            self._held.clear()
        assert alike.grants is not None
        held = self._held.get(caller)
        if held is None:
            held = self._held[caller] = alike.grants.held_by(alike.subject, alike.key_id)
        active = decide_without_context(self.active, held, alike.resource, alike.action)
        if self.active.revision == self.snapshot.revision:
            verdicts = _Verdicts(active, active, alike=True)
        else:
            candidate = decide_without_context(self.snapshot, held, alike.resource, alike.action)
            same = active is None and candidate is None and self._is_decided_alike(held, alike)
            verdicts = _Verdicts(active, candidate, alike=same)
        self._decided[caller, alike.resource, alike.action] = verdicts
        return verdicts

    def _is_decided_alike(self, held: frozenset[str], alike: DecisionKey) -> bool:
        """Whether both policies decide by rows that say the same, over the same grants and entities."""
        rows = [
            [rule.content for rule in snapshot.rules_for(alike.resource, alike.action)]
            for snapshot in (self.active, self.snapshot)
        ]
        effective = [snapshot.effective(held) for snapshot in (self.active, self.snapshot)]
        return self._same_entities and rows[0] == rows[1] and effective[0] == effective[1]


def _entity_files(snapshot: Snapshot) -> dict[str, str]:
    return {name: text for name, text in snapshot.policy.source.files.items() if name.startswith(FOLDER)}

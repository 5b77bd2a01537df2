"""Replay: decides logged requests under the active policy and under a candidate.

A change is a difference between these two. The logged verdicts are compared with the active policy only, and only
counted, since they differ because of earlier changes and not because of the candidate. Equal decisions are decided
once. The variables of conditions are not in the log: a verdict that depends on a condition is counted as such and
never guessed, unless both policies decide it by the same rows.
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


class ReplayKey(NamedTuple):
    """The fields of a decision that a policy depends on, except for conditions, and the verdict."""

    grants: StatedGrants | None
    method: Method | None
    subject: str
    key_id: int | None
    resource: str
    action: str
    allowed: bool
    client_id: str | None = None


class Occurrences(NamedTuple):
    """The number of equal decisions, and the id of the last one."""

    number: int
    last_id: int


class ReplayOutcome(Enum):
    """The result of replaying a decision."""

    SAME = "same"  # under both policies
    GAINED = "gained"
    LOST = "lost"
    CONDITION = "condition"  # the verdict depends on a condition
    UNVERIFIED = "unverified"  # the credentials were bad, so no policy decided it
    UNKNOWN = "unknown"  # the grants of the caller are not in the log


@dataclass(frozen=True, slots=True)
class VerdictChange:
    """A verdict that differs under the candidate: how often it was logged, and the decision of the candidate."""

    key: ReplayKey
    times: Occurrences
    outcome: ReplayOutcome
    decision: Decision


_MAX_CACHED_VERDICTS = 100_000
_Caller = tuple[bytes, str, int | None]  # the digest of the grant set, the subject, and the id of the API key


class _Verdicts(NamedTuple):
    """The decisions of the active policy and of the candidate; None if the verdict depends on a condition."""

    active: Decision | None
    candidate: Decision | None
    by_same_rows: bool  # so that both decide equally, whatever the conditions


@dataclass(slots=True)
class Replay:
    """Counts how decisions change under a candidate, compared with the active policy.

    `counts` are numbers of decisions, not of groups. `changed_since` is the number of decisions whose logged verdict
    differs from that of the active policy. With `max_changes`, only the first changes are kept; `counts` include all.
    """

    snapshot: Snapshot
    active: Snapshot
    max_changes: int | None = None
    counts: dict[ReplayOutcome, int] = field(default_factory=lambda: dict.fromkeys(ReplayOutcome, 0))
    changed_since: int = 0
    _changes: dict[ReplayKey, VerdictChange] = field(default_factory=dict)
    _decided: dict[tuple[_Caller, str, str], _Verdicts] = field(default_factory=dict)
    _held: dict[_Caller, frozenset[str]] = field(default_factory=dict)
    _same_entities: bool = field(init=False)

    def __post_init__(self) -> None:
        # The active policy serves requests, whose cache a replay must not fill.
        self.active = self.active.detached()
        self._same_entities = _entity_files(self.active) == _entity_files(self.snapshot)

    def add(self, groups: Iterable[tuple[ReplayKey, Occurrences]]) -> None:
        """Decide each group. A key may occur in several calls."""
        for key, times in groups:
            outcome, decision = self._replay(key, times.number)
            self.counts[outcome] += times.number
            if decision is None or outcome not in (ReplayOutcome.GAINED, ReplayOutcome.LOST):
                continue
            # With the verdict of the active policy, so that different logged verdicts are one change.
            alike = key._replace(allowed=not decision.allowed)
            if alike in self._changes or self.max_changes is None or len(self._changes) < self.max_changes:
                before = self._changes[alike].times if alike in self._changes else Occurrences(0, 0)
                total = Occurrences(before.number + times.number, max(before.last_id, times.last_id))
                self._changes[alike] = VerdictChange(alike, total, outcome, decision)

    @property
    def changes(self) -> list[VerdictChange]:
        """Gains, then losses, each with the most frequent first."""
        return sorted(
            self._changes.values(),
            key=lambda change: (
                change.outcome is ReplayOutcome.LOST,
                -change.times.number,
                change.key.subject,
                change.key[4:6],
            ),
        )

    def _replay(self, key: ReplayKey, count: int) -> tuple[ReplayOutcome, Decision | None]:
        if key.grants is None:
            return (ReplayOutcome.UNVERIFIED if key.method is None else ReplayOutcome.UNKNOWN), None
        caller = (key.grants.digest, key.subject, key.key_id)
        verdicts = self._decided.get((caller, key.resource, key.action))
        if verdicts is None:
            verdicts = self._decide(caller, key)
        active, candidate = verdicts.active, verdicts.candidate
        if active is not None and active.allowed is not key.allowed:
            self.changed_since += count
        if active is None or candidate is None:  # it depends on a condition
            return (ReplayOutcome.SAME if verdicts.by_same_rows else ReplayOutcome.CONDITION), None
        if candidate.allowed is active.allowed:
            return ReplayOutcome.SAME, candidate
        return (ReplayOutcome.GAINED if candidate else ReplayOutcome.LOST), candidate

    def _decide(self, caller: _Caller, key: ReplayKey) -> _Verdicts:
        if len(self._decided) >= _MAX_CACHED_VERDICTS:
            self._decided.clear()
            self._held.clear()
        assert key.grants is not None
        held = self._held.get(caller)
        if held is None:
            held = self._held[caller] = key.grants.held_by(key.subject, key.key_id)
        active = decide_without_context(self.active, held, key.resource, key.action)
        if self.active.revision == self.snapshot.revision:
            verdicts = _Verdicts(active, active, by_same_rows=True)
        else:
            candidate = decide_without_context(self.snapshot, held, key.resource, key.action)
            same = active is None and candidate is None and self._have_same_rows(held, key)
            verdicts = _Verdicts(active, candidate, by_same_rows=same)
        self._decided[caller, key.resource, key.action] = verdicts
        return verdicts

    def _have_same_rows(self, held: frozenset[str], key: ReplayKey) -> bool:
        """Whether both policies decide by equal rows, over the same grants and entities."""
        rows = [
            [rule.content for rule in snapshot.rules_for(key.resource, key.action)]
            for snapshot in (self.active, self.snapshot)
        ]
        effective = [snapshot.each_side(held) for snapshot in (self.active, self.snapshot)]
        return self._same_entities and rows[0] == rows[1] and effective[0] == effective[1]


def _entity_files(snapshot: Snapshot) -> dict[str, str]:
    return {name: text for name, text in snapshot.policy.source.files.items() if name.startswith(FOLDER)}

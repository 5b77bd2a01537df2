"""What a replay found, as people's programs read it: one shape over HTTP and on the command line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.audit.replay import Replay, ReplayOutcome, VerdictChange
from app.audit.view import RuleView
from app.identity.principal import Method


@dataclass(frozen=True, slots=True)
class ReplayChange:
    """Who would gain or lose what, how often it was asked for, and the request id of the last time."""

    change: Literal["gained", "lost"]
    subject: str
    method: Method | None
    key_id: int | None
    action: str
    route: str
    count: int
    example: str | None
    reason: str
    rule: RuleView | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A replay under a candidate, the policy `revision`, compared with the policy `active`.

    `counts` are of decisions; `left_out` of those gained or lost are of no change shown. `changed_since` decisions were
    decided otherwise when they were logged than the active policy decides them now.
    `condition` are decisions that depend on a condition, whose context is not logged, `unverified` those on bad
    credentials, and `unknown` those of which the log does not say what the caller held.
    """

    revision: str
    active: str
    last: str
    decisions: int
    counts: dict[str, int]
    changes: list[ReplayChange]
    left_out: int
    changed_since: int


def result(replay: Replay, shown: Sequence[VerdictChange], examples: Mapping[int, str], last: str) -> ReplayResult:
    """What was found, with these changes; `examples` are request ids by the ids of decisions."""
    changed = replay.counts[ReplayOutcome.GAINED] + replay.counts[ReplayOutcome.LOST]
    return ReplayResult(
        revision=replay.snapshot.revision,
        active=replay.active.revision,
        last=last,
        decisions=sum(replay.counts.values()),
        counts={told.value: count for told, count in replay.counts.items()},
        changes=[_change(change, examples) for change in shown],
        left_out=changed - sum(change.times.number for change in shown),
        changed_since=replay.changed_since,
    )


def _change(change: VerdictChange, examples: Mapping[int, str]) -> ReplayChange:
    alike, decision = change.alike, change.decision
    return ReplayChange(
        change="gained" if change.told is ReplayOutcome.GAINED else "lost",
        subject=alike.subject,
        method=alike.method,
        key_id=alike.key_id,
        action=alike.action,
        route=alike.resource,
        count=change.times.number,
        example=examples.get(change.times.last_id),
        reason=str(decision.reason),
        rule=None if decision.rule is None else RuleView(decision.rule.place, str(decision.rule)),
        missing=decision.missing,
    )

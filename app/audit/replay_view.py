"""The result of a replay, as the API and the command line show it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from app.audit.replay import Replay, ReplayOutcome, VerdictChange
from app.identity.principal import Method
from app.policy.language.row_view import RowView


@dataclass(frozen=True, slots=True)
class ReplayProgress:
    """How far a replay is."""

    percent: int
    decisions: int


@dataclass(frozen=True, slots=True)
class ReplayChange:
    """Who would gain or lose what, how often it was requested, and the request id of the last time."""

    change: Literal["gained", "lost"]
    subject: str
    method: Method | None
    key_id: int | None
    client_id: str | None
    action: str
    route: str
    count: int
    example: str | None
    reason: str
    rule: RowView | None
    missing: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """A replay under a candidate, the policy `revision`, compared with the policy `active`.

    `counts` are numbers of decisions: `condition` depend on a condition, whose context is not logged, `unverified` had
    bad credentials, and for `unknown` the grants of the caller are not in the log. `left_out` decisions were gained or
    lost without a change that is shown. `changed_since` decisions have a logged verdict that differs from that of the
    active policy.
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
    """The result of a replay with these changes; `examples` are request ids by the ids of decisions."""
    changed = replay.counts[ReplayOutcome.GAINED] + replay.counts[ReplayOutcome.LOST]
    return ReplayResult(
        revision=replay.snapshot.revision,
        active=replay.active.revision,
        last=last,
        decisions=sum(replay.counts.values()),
        counts={outcome.value: count for outcome, count in replay.counts.items()},
        changes=[_change(change, examples) for change in shown],
        left_out=changed - sum(change.times.number for change in shown),
        changed_since=replay.changed_since,
    )


def _change(change: VerdictChange, examples: Mapping[int, str]) -> ReplayChange:
    key, decision = change.key, change.decision
    return ReplayChange(
        change="gained" if change.outcome is ReplayOutcome.GAINED else "lost",
        subject=key.subject,
        method=key.method,
        key_id=key.key_id,
        client_id=key.client_id,
        action=key.action,
        route=key.resource,
        count=change.times.number,
        example=examples.get(change.times.last_id),
        reason=str(decision.reason),
        rule=None if decision.rule is None else decision.rule.view,
        missing=decision.missing,
    )

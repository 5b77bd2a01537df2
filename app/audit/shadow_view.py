"""The view of the policy in shadow, for API and console."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from app.audit.shadowing import DeployedShadow
from app.policy.analysis.shadow import ShadowDifference
from app.policy.language.row_view import RowView

MAX_DIFFERENCES_SHOWN = 50
_Verdict = Literal["allow", "deny"]


@dataclass(frozen=True, slots=True)
class ShadowDifferenceView:
    """What the active policy decided and the shadow would have reversed; `rule` is the shadow's row."""

    action: str
    route: str
    subject: str
    key_id: int | None
    client_id: str | None
    active: _Verdict
    shadow: _Verdict
    reason: str
    rule: RowView | None
    missing: tuple[str, ...]
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class ShadowView:
    """The policy in shadow in the process that answers, and what it differed in since it was deployed there.

    Each decision is counted once: in `compared`, in `not_compared` when the shadow's verdict depends on a condition,
    whose context is not kept, or in `missed` when too many waited or it could not be compared. `differing` of those
    compared differ; `other` of those that differ are beyond the 1,000 differences that are kept apart.
    """

    revision: str
    active: str
    since: datetime
    message: str
    author: str
    compared: int
    differing: int
    not_compared: int
    missed: int
    other: int
    differences: list[ShadowDifferenceView]


def shadow_view(deployed: DeployedShadow, active: str) -> ShadowView:
    """View the policy in shadow, next to the `active` revision."""
    shadow = deployed.shadow
    return ShadowView(
        revision=shadow.snapshot.revision,
        active=active,
        since=deployed.since,
        message=deployed.message,
        author=deployed.author,
        compared=shadow.compared,
        differing=shadow.differing,
        not_compared=shadow.not_compared,
        missed=deployed.dropped + deployed.failed,
        other=shadow.other,
        differences=[_difference(difference) for difference in shadow.most_frequent(MAX_DIFFERENCES_SHOWN)],
    )


def _difference(difference: ShadowDifference) -> ShadowDifferenceView:
    key, decision = difference.key, difference.decision
    rule = decision.rule
    return ShadowDifferenceView(
        action=key.action,
        route=key.resource,
        subject=key.who.subject,
        key_id=key.who.key_id,
        client_id=key.who.client_id,
        active="allow" if key.allowed else "deny",
        shadow="allow" if decision else "deny",
        reason=str(decision.reason),
        rule=None if rule is None else rule.view,
        missing=decision.missing,
        count=difference.number,
        last=difference.last,
    )

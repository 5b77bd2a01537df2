"""The JSON view of an explanation, the same over HTTP and on the command line."""

from __future__ import annotations

from typing import Annotated

import msgspec

from app.policy.analysis.explain import Explanation, NearRow
from app.policy.language.row_view import RowView


class NearRowView(RowView, frozen=True):
    """A row that would allow it, and why it does not.

    `never` are the missing grants that this caller can never have. `condition` is the outcome of its condition, and
    `error` says why it could not be evaluated.
    """

    lacks: list[str]
    never: list[str]
    condition: str
    error: str


class ExplanationView(msgspec.Struct, frozen=True):
    """A decision with its reasons. `opens_with` are the fewest grants that would open it; `remedy` says whether any
    would."""

    allowed: bool
    reason: str
    revision: str
    action: str
    resource: Annotated[str, msgspec.Meta(description="the resource as the question names it")]
    key: Annotated[str, msgspec.Meta(description="the route template or thing whose rows apply")]
    params: dict[str, str]
    held: Annotated[list[str], msgspec.Meta(description="the grants as stated")] = msgspec.field(name="as")
    effective: Annotated[list[str], msgspec.Meta(description="with what roles add")]
    rule: RowView | None
    added_by: list[RowView]
    denies: list[RowView]
    near: list[NearRowView]
    remedy: str
    opens_with: list[str]


def explanation_view(explanation: Explanation) -> ExplanationView:
    """View an explanation."""
    decision, target = explanation.decision, explanation.target
    return ExplanationView(
        allowed=decision.allowed,
        reason=str(decision.reason),
        revision=decision.revision,
        action=target.action,
        resource=target.original,
        key=target.resource,
        params=dict(target.params),
        held=sorted(explanation.held),
        effective=sorted(explanation.effective),
        rule=decision.rule.view if decision.rule else None,
        added_by=[membership.view for membership in explanation.added_by],
        denies=[rule.view for rule in explanation.denies],
        near=[_near(near) for near in explanation.near],
        remedy=explanation.remedy.name.lower(),
        opens_with=list(explanation.opens_with),
    )


def _near(near: NearRow) -> NearRowView:
    at = near.rule.view
    return NearRowView(
        at.file, at.line, at.column, at.row, list(near.lacks), list(near.never), str(near.condition), near.error
    )

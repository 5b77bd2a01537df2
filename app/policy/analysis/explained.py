"""The JSON view of an explanation, the same over HTTP and on the command line."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from app.policy.analysis.explanation import Explanation, SideExplanation
from app.policy.analysis.near_rows import NearRow
from app.policy.language.caller import caller_words
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


class SideView(msgspec.Struct, frozen=True):
    """The decision about one side of an app on behalf of a user. `effective` are its grants, with what roles add."""

    side: Literal["app", "user"]
    allowed: bool
    reason: str
    effective: list[str]
    missing: list[str]
    rule: RowView | None
    added_by: list[RowView]
    denies: list[RowView]
    near: list[NearRowView]


class ExplanationView(msgspec.Struct, frozen=True):
    """A decision with its reasons. `opens_with` are the fewest grants that would open it; `remedy` says whether any
    would.

    For an app on behalf of a user, `as` has the grants of the user after `for`, `effective` those that both hold, and
    `sides` the decisions about both, of which each must allow; `asks` are the rows that let the app ask for its scopes.
    """

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
    sides: list[SideView]
    asks: list[RowView]


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
        held=caller_words(explanation.held),
        effective=sorted(explanation.effective),
        rule=decision.rule.view if decision.rule else None,
        added_by=[membership.view for membership in explanation.added_by],
        denies=[rule.view for rule in explanation.denies],
        near=[_near(near) for near in explanation.near],
        remedy=explanation.remedy.name.lower(),
        opens_with=list(explanation.opens_with),
        sides=[_side(side) for side in explanation.sides],
        asks=[rule.view for rule in explanation.asks],
    )


def _side(found: SideExplanation) -> SideView:
    decision = found.decision
    return SideView(
        side=found.side,
        allowed=decision.allowed,
        reason=str(decision.reason),
        effective=sorted(found.effective),
        missing=list(decision.missing),
        rule=decision.rule.view if decision.rule else None,
        added_by=[membership.view for membership in found.added_by],
        denies=[rule.view for rule in found.denies],
        near=[_near(near) for near in found.near],
    )


def _near(near: NearRow) -> NearRowView:
    at = near.rule.view
    return NearRowView(
        at.file, at.line, at.column, at.row, list(near.lacks), list(near.never), str(near.condition), near.error
    )

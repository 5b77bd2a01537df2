"""The JSON view of an explanation, the same over HTTP and on the command line."""

from __future__ import annotations

from typing import Annotated

import msgspec

from app.policy.analysis.explain import Explanation
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import PolicySource


class RowView(msgspec.Struct, frozen=True):
    """A row of the policy: its place and its text."""

    file: str
    line: int
    row: str


class NearRowView(msgspec.Struct, frozen=True):
    """A row that would allow it, and why it does not.

    `never` are the missing grants that this caller can never have. `condition` is the outcome of its condition, and
    `error` says why it could not be evaluated.
    """

    file: str
    line: int
    row: str
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


def row_view(rule: Rule | Membership, source: PolicySource) -> RowView:
    """View a row as it is written in its file."""
    return RowView(rule.file, rule.line, source.line(rule.file, rule.line))


def explanation_view(explanation: Explanation, snapshot: Snapshot) -> ExplanationView:
    """View an explanation of a decision of this snapshot."""
    decision, target, source = explanation.decision, explanation.target, snapshot.policy.source
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
        rule=row_view(decision.rule, source) if decision.rule else None,
        added_by=[row_view(membership, source) for membership in explanation.added_by],
        denies=[row_view(rule, source) for rule in explanation.denies],
        near=[
            NearRowView(
                near.rule.file,
                near.rule.line,
                source.line(near.rule.file, near.rule.line),
                list(near.lacks),
                list(near.never),
                str(near.condition),
                near.error,
            )
            for near in explanation.near
        ],
        remedy=explanation.remedy.name.lower(),
        opens_with=list(explanation.opens_with),
    )

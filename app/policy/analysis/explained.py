"""An explanation as programs read it: one shape over HTTP and on the command line."""

from __future__ import annotations

from typing import Annotated

import msgspec

from app.policy.analysis.explain import Explanation
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Membership, Rule
from app.policy.language.source import PolicySource


class RowView(msgspec.Struct, frozen=True):
    """A row of the policy, where it stands and as it is written."""

    file: str
    line: int
    row: str


class NearRowView(msgspec.Struct, frozen=True):
    """A row that would allow it, and what keeps it from doing so.

    `never` are those of the lacking grants that this caller can never have. `condition` says how its condition came
    out, and `error` why it could not be evaluated.
    """

    file: str
    line: int
    row: str
    lacks: list[str]
    never: list[str]
    condition: str
    error: str


class ExplanationView(msgspec.Struct, frozen=True):
    """A decision with its reasons. `opens_with` are the fewest grants that would open it; `outlook` says whether any
    would."""

    allowed: bool
    reason: str
    revision: str
    action: str
    resource: Annotated[str, msgspec.Meta(description="what was asked about")]
    key: Annotated[str, msgspec.Meta(description="the route template or thing that rows are found by")]
    params: dict[str, str]
    held: Annotated[list[str], msgspec.Meta(description="the grants as stated")] = msgspec.field(name="as")
    effective: Annotated[list[str], msgspec.Meta(description="with what roles add")]
    rule: RowView | None
    added_by: list[RowView]
    denies: list[RowView]
    near: list[NearRowView]
    outlook: str
    opens_with: list[str]


def row_view(rule: Rule | Membership, source: PolicySource) -> RowView:
    """A row as it stands in its file."""
    return RowView(rule.file, rule.line, source.line(rule.file, rule.line))


def explanation_view(found: Explanation, snapshot: Snapshot) -> ExplanationView:
    """An explanation of a decision of this snapshot."""
    decision, target, source = found.decision, found.target, snapshot.policy.source
    return ExplanationView(
        allowed=decision.allowed,
        reason=str(decision.reason),
        revision=decision.revision,
        action=target.action,
        resource=target.asked,
        key=target.resource,
        params=dict(target.params),
        held=sorted(found.held),
        effective=sorted(found.effective),
        rule=row_view(decision.rule, source) if decision.rule else None,
        added_by=[row_view(membership, source) for membership in found.added_by],
        denies=[row_view(rule, source) for rule in found.denies],
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
            for near in found.near
        ],
        outlook=found.outlook.name.lower(),
        opens_with=list(found.opens_with),
    )

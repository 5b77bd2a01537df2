"""Explains a decision: the row that decided, or the nearest rows, what each lacks and the fewest grants to add."""

from __future__ import annotations

from collections.abc import Iterable
from types import MappingProxyType

from app.identity.principal import ANYONE, is_fact
from app.policy.analysis.explain_app import explain_app
from app.policy.analysis.explanation import MAX_NEAR, Explanation, Remedy
from app.policy.analysis.near_rows import (
    ConditionOutcome,
    NearRow,
    added_by,
    denying_rows,
    near_rows,
    without_implied,
)
from app.policy.engine.delegation import is_delegated
from app.policy.engine.limited_scopes import leading
from app.policy.engine.question_context import context_of
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target, find_target
from app.policy.language.given import Given
from app.policy.language.when.condition import Context

_NOTHING: Given = MappingProxyType({})


def explain(
    snapshot: Snapshot, held: Iterable[str], action: str, resource: str, given: Given = _NOTHING
) -> Explanation:
    """Explain the decision on an action on a concrete path, a route template or a thing.

    `held` is not verified, facts included: it is a question, not a credential. `anyone` is always held. `given` are
    the variables that conditions would read of a request. Raises NoSuchTarget if there is no such route.
    """
    return explain_target(snapshot, held, find_target(snapshot.table, snapshot.index, action, resource), given)


def explain_target(snapshot: Snapshot, held: Iterable[str], target: Target, given: Given = _NOTHING) -> Explanation:
    """Explain the decision on a target that was found already."""
    action = target.action
    held = frozenset({*held, ANYONE})
    if is_delegated(held):
        return explain_app(snapshot, held, target, given)
    stated = snapshot.in_force(held)
    effective = snapshot.effective(stated)
    context = context_of(stated, effective, target, given)
    decision = snapshot.decide(stated, target.resource, action, context)
    links = added_by(snapshot, leading(stated), decision.rule.needs if decision.rule else ())
    if decision:
        return Explanation(decision, target, stated, effective, Remedy.OPEN, added_by=links)
    rules = snapshot.rules_for(target.resource, action)
    denies = denying_rows(rules, effective, context)
    near = near_rows(rules, effective, context)
    opens_with: tuple[str, ...] = ()
    if denies:
        remedy, near = Remedy.DENIED, []
    elif not near:
        remedy = Remedy.NO_ALLOW
    else:
        remedy, opens_with = _way_in(snapshot, stated, target, context, near)
    return Explanation(decision, target, stated, effective, remedy, opens_with, links, denies, tuple(near[:MAX_NEAR]))


def _way_in(
    snapshot: Snapshot, stated: frozenset[str], target: Target, context: Context, near: Iterable[NearRow]
) -> tuple[Remedy, tuple[str, ...]]:
    """The fewest grants that open it. Each set is tried, since a deny may apply to its holders."""
    remedy = Remedy.FACTS
    ways: list[tuple[str, ...]] = []
    for row in near:
        if row.never:
            continue
        if row.condition in (ConditionOutcome.NO, ConditionOutcome.ERROR):
            remedy = Remedy.CONDITION
        else:
            ways.append(without_implied(snapshot, row.lacks))
    for way in sorted(ways, key=lambda way: (any(map(is_fact, way)), len(way))):
        if snapshot.decide(stated.union(way), target.resource, target.action, context):
            return Remedy.GRANT, way
        remedy = Remedy.DENIED_THEN
    return remedy, ()

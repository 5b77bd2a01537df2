"""Explains the decision on an app on behalf of a user: what decided about each of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Literal

from app.identity.principal import CONSENTED, is_fact
from app.policy.analysis.explanation import MAX_NEAR, Explanation, Remedy, SideExplanation
from app.policy.analysis.near_rows import (
    ConditionOutcome,
    NearRow,
    added_by,
    denying_rows,
    near_rows,
    without_implied,
)
from app.policy.engine.delegation import SideContext, consented_scopes, facts_of, stated_sides
from app.policy.engine.question_context import context_of
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target
from app.policy.engine.verdict import Conditions, held_rules, verdict
from app.policy.language.given import Given
from app.policy.language.rule import Rule
from app.policy.language.when.condition import Context


def explain_app(snapshot: Snapshot, held: frozenset[str], target: Target, given: Given) -> Explanation:
    """Explain the decision on an app on behalf of a user. The variables that are `given` are the same for both."""
    effective = snapshot.sides(held)
    context = context_of(held, effective.app & effective.user, target, given)
    decision = snapshot.decide(held, target.resource, target.action, context)
    stated = stated_sides(held, snapshot.may_ask)
    app = _explain_side(snapshot, "app", target, (stated.app, effective.app), context)
    user = _explain_side(snapshot, "user", target, (stated.user, effective.user), context)
    denies = tuple(dict.fromkeys((*app.denies, *user.denies)))
    remedy, opens_with = Remedy.OPEN, tuple[str, ...]()
    if denies:
        remedy = Remedy.DENIED
    elif not user.decision:
        remedy = Remedy.USER if user.near else Remedy.NO_ALLOW
    elif not decision:
        remedy, opens_with = _consent(snapshot, held, target, context, app.near)
    return Explanation(
        decision,
        target,
        held,
        effective.app & effective.user,
        remedy,
        opens_with,
        tuple(dict.fromkeys((*app.added_by, *user.added_by))),
        denies,
        () if denies or decision else user.near or app.near,
        sides=(app, user),
        asks=tuple(_asks(snapshot, held)),
    )


def _explain_side(
    snapshot: Snapshot,
    side: Literal["app", "user"],
    target: Target,
    grants: tuple[frozenset[str], frozenset[str]],
    context: Context,
) -> SideExplanation:
    """The explanation of one side with these stated and effective grants."""
    stated, effective = grants
    own = SideContext(context, effective)
    rules = snapshot.rules_for(target.resource, target.action)
    decision = verdict(rules, held_rules(rules, effective), effective, Conditions(own), snapshot.revision)
    denies = denying_rows(rules, effective, own)
    near = () if decision or denies else tuple(near_rows(rules, effective, own)[:MAX_NEAR])
    links = added_by(snapshot, stated, decision.rule.needs if decision.rule else ())
    return SideExplanation(side, decision, effective, links, denies, near)


def _consent(
    snapshot: Snapshot, held: frozenset[str], target: Target, context: Context, near: Iterable[NearRow]
) -> tuple[Remedy, tuple[str, ...]]:
    """The fewest scopes that would open it with the user's consent, or why none would."""
    remedy = Remedy.FACTS
    for row in near:
        if row.condition in (ConditionOutcome.NO, ConditionOutcome.ERROR):
            remedy = Remedy.CONDITION
        elif not any(map(is_fact, row.lacks)):
            scopes = without_implied(snapshot, row.lacks)
            consented = held.union(CONSENTED + scope for scope in scopes)
            if snapshot.decide(consented, target.resource, target.action, context):
                return Remedy.GRANT, scopes
            remedy = Remedy.NOT_ASKABLE
    return remedy, ()


def _asks(snapshot: Snapshot, held: frozenset[str]) -> Iterator[Rule]:
    """The rows that let the app ask for its scopes."""
    facts = facts_of(held)
    for scope in sorted(consented_scopes(held, snapshot.may_ask)):
        yield from (rule for rule in snapshot.ask_rules(scope) if rule.needs <= facts)

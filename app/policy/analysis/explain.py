"""Explains a decision: the row that decided, or the nearest rows, what each lacks and the fewest grants to add."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from app.identity.principal import ANYONE, is_fact
from app.policy.engine.decision import Decision
from app.policy.engine.question_context import context_of
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import Target, find_target
from app.policy.language.given import Given
from app.policy.language.grants import excludes
from app.policy.language.roles import chain
from app.policy.language.rule import Membership, Rule
from app.policy.language.when.condition import ConditionError, Context

MAX_NEAR = 3
_NOTHING: Given = MappingProxyType({})


class Remedy(StrEnum):
    """Whether more grants would open what is denied, and if not, why."""

    OPEN = "it is allowed"
    GRANT = "these grants would open it"
    DENIED = "nothing opens it: a row denies it"
    DENIED_THEN = "nothing opens it: a caller with the grants of a row that allows it is denied by another row"
    CONDITION = "no grant opens it: a condition is not met"
    FACTS = "nothing opens it for this caller: every row that allows it needs a fact that the caller cannot have"
    NO_ALLOW = "nothing opens it: no row allows it to anyone"


class ConditionOutcome(StrEnum):
    """The outcome of a row's condition."""

    NONE = "none"
    YES = "met"
    NO = "not met"
    ERROR = "cannot be evaluated"


@dataclass(frozen=True, slots=True)
class NearRow:
    """A row that would allow it, and why it does not: missing grants, or its condition.

    `never` are the missing grants that this caller can never have: facts of another kind of caller.
    """

    rule: Rule
    lacks: tuple[str, ...]
    never: tuple[str, ...]
    condition: ConditionOutcome
    error: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with its reasons.

    `held` are the grants in force, including `anyone`; `effective` also has what roles add. `added_by` are the `g`
    rows that add the deciding row's grants. `denies` are all rows that deny it, `near` the nearest rows that would
    allow it, and `opens_with` the fewest grants that would open it, if any would.
    """

    decision: Decision
    target: Target
    held: frozenset[str]
    effective: frozenset[str]
    remedy: Remedy
    opens_with: tuple[str, ...] = ()
    added_by: tuple[Membership, ...] = ()
    denies: tuple[Rule, ...] = ()
    near: tuple[NearRow, ...] = ()


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
    stated = snapshot.in_force({*held, ANYONE})
    effective = snapshot.effective(stated)
    context = context_of(stated, effective, target, given)
    decision = snapshot.decide(stated, target.resource, action, context)
    added_by = _added_by(snapshot, stated, decision.rule.needs if decision.rule else ())
    if decision:
        return Explanation(decision, target, stated, effective, Remedy.OPEN, added_by=added_by)
    rules = snapshot.rules_for(target.resource, action)
    denies = tuple(rule for rule in rules if rule.effect == "deny" and _denies(rule, effective, context))
    near = sorted((_near(rule, effective, context) for rule in rules if rule.effect == "allow"), key=_distance)
    opens_with: tuple[str, ...] = ()
    if denies:
        remedy, near = Remedy.DENIED, []
    elif not near:
        remedy = Remedy.NO_ALLOW
    else:
        remedy, opens_with = _way_in(snapshot, stated, target, context, near)
    return Explanation(
        decision, target, stated, effective, remedy, opens_with, added_by, denies, tuple(near[:MAX_NEAR])
    )


def _denies(rule: Rule, effective: frozenset[str], context: Context) -> bool:
    """Whether a deny row applies; an error in its condition denies too."""
    return rule.needs <= effective and _met(rule, context)[0] is not ConditionOutcome.NO


def _met(rule: Rule, context: Context) -> tuple[ConditionOutcome, str]:
    if rule.condition is None:
        return ConditionOutcome.NONE, ""
    try:
        return (ConditionOutcome.YES if rule.condition.met(context) else ConditionOutcome.NO), ""
    except ConditionError as error:
        return ConditionOutcome.ERROR, str(error)


def _near(rule: Rule, effective: frozenset[str], context: Context) -> NearRow:
    lacks = tuple(sorted(rule.needs - effective))
    never = tuple(grant for grant in lacks if excludes(effective, grant))
    return NearRow(rule, lacks, never, *_met(rule, context))


def _distance(row: NearRow) -> tuple[bool, bool, bool, int]:
    """Sort permissions, which a caller can request, before facts, and fewer grants before more."""
    return (
        bool(row.never),
        any(map(is_fact, row.lacks)),
        row.condition in (ConditionOutcome.NO, ConditionOutcome.ERROR),
        len(row.lacks),
    )


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


def without_implied(snapshot: Snapshot, grants: Iterable[str]) -> tuple[str, ...]:
    """Remove the grants that others add through roles."""
    kept = list(grants)
    for grant in tuple(kept):
        others = [other for other in kept if other != grant]
        if grant in snapshot.effective(others):
            kept = others
    return tuple(kept)


def _added_by(snapshot: Snapshot, stated: frozenset[str], needs: Iterable[str]) -> tuple[Membership, ...]:
    """The `g` rows on the shortest path from the stated grants to each needed one."""
    rows: dict[str, list[Membership]] = {}
    for row in snapshot.policy.memberships:
        rows.setdefault(row.member, []).append(row)
    return tuple(dict.fromkeys(row for grant in sorted(needs) for row in chain(rows, stated, grant)))

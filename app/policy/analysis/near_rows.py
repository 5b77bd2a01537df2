"""The rows that bear on a decision: those that deny it, and the nearest of those that would allow it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from app.identity.principal import is_fact
from app.policy.engine.snapshot import Snapshot
from app.policy.language.grants import excludes
from app.policy.language.roles import chain
from app.policy.language.rule import Membership, Rule
from app.policy.language.when.condition import ConditionError, Context


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


def denying_rows(rules: Iterable[Rule], effective: frozenset[str], context: Context) -> tuple[Rule, ...]:
    """The deny rows that apply; an error in a condition denies too."""
    return tuple(rule for rule in rules if rule.effect == "deny" and _denies(rule, effective, context))


def near_rows(rules: Iterable[Rule], effective: frozenset[str], context: Context) -> list[NearRow]:
    """The rows that would allow it, the nearest first."""
    return sorted((_near(rule, effective, context) for rule in rules if rule.effect == "allow"), key=_distance)


def added_by(snapshot: Snapshot, stated: frozenset[str], needs: Iterable[str]) -> tuple[Membership, ...]:
    """The `g` rows on the shortest path from the stated grants to each needed one."""
    rows: dict[str, list[Membership]] = {}
    for row in snapshot.policy.memberships:
        rows.setdefault(row.member, []).append(row)
    return tuple(dict.fromkeys(row for grant in sorted(needs) for row in chain(rows, stated, grant)))


def without_implied(snapshot: Snapshot, grants: Iterable[str]) -> tuple[str, ...]:
    """Remove the grants that others add through roles."""
    kept = list(grants)
    for grant in tuple(kept):
        others = [other for other in kept if other != grant]
        if grant in snapshot.effective(others):
            kept = others
    return tuple(kept)


def _denies(rule: Rule, effective: frozenset[str], context: Context) -> bool:
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

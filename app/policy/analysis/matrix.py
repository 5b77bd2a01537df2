"""The matrix: what each role and permission, held alone by a signed-in user, and each app does at each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from app.policy.analysis.reach import Reach, outcome
from app.policy.engine.delegation import facts_of, is_delegated
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import sorted_in_steps
from app.policy.language.ask_rows import is_ask_row
from app.policy.language.caller import FOR
from app.policy.language.grants import known_roles
from app.policy.language.rule import Rule, action_order

ANONYMOUS_CALLER, SIGNED_IN = "auth:anonymous", "auth:jwt"


class MatrixVerdict(StrEnum):
    """The verdict of a cell, without the variables that conditions would read."""

    ALLOW = "allow"
    CONDITIONAL = "if"
    DENY = "deny"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Row:
    """Methods of a route template, or actions on a thing, that the same rules apply to."""

    resource: str
    actions: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def files(self) -> frozenset[str]:
        """The files of its rules."""
        return frozenset(rule.file for rule in self.rules)


# Kept as long as the snapshot is referenced.
_rows: WeakKeyDictionary[Snapshot, tuple[Row, ...]] = WeakKeyDictionary()


def columns(snapshot: Snapshot) -> tuple[str, ...]:
    """The grants that are columns: an anonymous caller, a signed-in user, roles, permissions, and facts of apps.

    The last are those that rows about scopes name.
    """
    roles = sorted(known_roles(snapshot.policy.memberships))
    apps = sorted({grant for rule in snapshot.policy.rules if is_ask_row(rule.resource) for grant in rule.needs})
    return (ANONYMOUS_CALLER, SIGNED_IN, *roles, *snapshot.policy.catalog, *apps)


def caller_grants(column: str, snapshot: Snapshot) -> tuple[str, ...]:
    """The grants that the caller of a column states: its own and, unless anonymous, being signed in.

    An app has all scopes that it may ask for, and acts for a user who holds them.
    """
    if is_delegated([column]):
        facts = facts_of([column])
        scopes = [scope for scope in snapshot.policy.catalog if snapshot.may_ask(facts, scope)]
        return (column, *scopes, FOR, *scopes) if scopes else (column,)
    return (column,) if column in (ANONYMOUS_CALLER, SIGNED_IN) else (SIGNED_IN, column)


def rows(snapshot: Snapshot) -> tuple[Row, ...]:
    """Everything that rules apply to, by resource; actions with the same rules are one row.

    The first call is slow for a large policy: run it off the event loop.
    """
    known = _rows.get(snapshot)
    if known is None:
        known = _rows[snapshot] = _rows_of(snapshot)
    return known


def _rows_of(snapshot: Snapshot) -> tuple[Row, ...]:
    by_resource: dict[str, dict[tuple[Rule, ...], list[str]]] = {}
    for resource, action in sorted_in_steps(snapshot.index, lambda key: (key[0], action_order(key[1]))):
        alike = by_resource.setdefault(resource, {})
        alike.setdefault(snapshot.index[resource, action], []).append(action)
    return tuple(
        Row(resource, tuple(actions), rules)
        for resource, groups in by_resource.items()
        for rules, actions in groups.items()
    )


def cells(row: Row, effective: Sequence[frozenset[str]]) -> list[MatrixVerdict]:
    """The verdicts of a row, one for the effective grants of each column."""
    return [_cell(row.rules, grants) for grants in effective]


def _cell(rules: Sequence[Rule], effective: frozenset[str]) -> MatrixVerdict:
    found, _ = outcome(rules, effective)
    if found is Reach.YES:
        return MatrixVerdict.ALLOW
    if found is Reach.CONDITIONAL:
        return MatrixVerdict.CONDITIONAL
    # Distinguish a deny that applies to the caller from missing grants.
    held = [rule.effect for rule in rules if rule.needs <= effective]
    return MatrixVerdict.DENY if "deny" in held else MatrixVerdict.NO

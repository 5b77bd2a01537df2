"""The matrix: what each role and each permission, held alone by a signed-in user, does at each endpoint."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from weakref import WeakKeyDictionary

from app.policy.analysis.reach import Reach, outcome
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import sorted_in_steps
from app.policy.language.grants import known_roles
from app.policy.language.rule import Rule, action_order

STRANGER, SIGNED_IN = "auth:anonymous", "auth:jwt"


class MatrixVerdict(StrEnum):
    """What comes of asking, without knowing what conditions would read."""

    ALLOW = "allow"
    CONDITIONAL = "if"
    DENY = "deny"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Row:
    """Methods of a route template, or actions on a thing, that the same rules speak of."""

    resource: str
    actions: tuple[str, ...]
    rules: tuple[Rule, ...]

    @property
    def files(self) -> frozenset[str]:
        """The files that speak of it."""
        return frozenset(rule.file for rule in self.rules)


# For as long as the policy is referenced.
_rows: WeakKeyDictionary[Snapshot, tuple[Row, ...]] = WeakKeyDictionary()


def columns(snapshot: Snapshot) -> tuple[str, ...]:
    """The grants that are columns: an anonymous caller, a signed-in user, then roles and permissions."""
    roles = sorted(known_roles(snapshot.policy.memberships))
    return (STRANGER, SIGNED_IN, *roles, *snapshot.policy.catalog)


def stated(column: str) -> tuple[str, ...]:
    """What a caller states of whom a column tells: the grant, and that they are signed in."""
    return (column,) if column in (STRANGER, SIGNED_IN) else (SIGNED_IN, column)


def rows(snapshot: Snapshot) -> tuple[Row, ...]:
    """All that rows speak of, by resource; actions with the same rules are one row.

    With many rules it takes a while the first time, which is to be spent off the event loop.
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
    """The verdicts of a row on grants in effect, one for each column."""
    return [_cell(row.rules, grants) for grants in effective]


def _cell(rules: Sequence[Rule], effective: frozenset[str]) -> MatrixVerdict:
    found, _ = outcome(rules, effective)
    if found is Reach.YES:
        return MatrixVerdict.ALLOW
    if found is Reach.CONDITIONAL:
        return MatrixVerdict.CONDITIONAL
    # A deny is worth telling apart where it denies what a caller holds enough grants for.
    held = [rule.effect for rule in rules if rule.needs <= effective]
    return MatrixVerdict.DENY if "deny" in held else MatrixVerdict.NO

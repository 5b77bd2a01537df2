"""Which scopes a key uses, from what was decided for it, and the narrower ones that would do."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from app.identity.principal import is_fact
from app.policy.analysis.explain import without_implied
from app.policy.analysis.reach import outcome
from app.policy.engine.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Use:
    """What was allowed, how often, and when last, in microseconds since 1970. `row` allowed it then, as it was."""

    action: str
    resource: str
    row: str
    number: int
    last: int


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """A scope that rows needed, how often, and when last, in microseconds since 1970."""

    scope: str
    number: int
    last: int


@dataclass(frozen=True, slots=True)
class Usage:
    """The scopes of a key that were used and those that never were; `enough` are narrower ones that would do.

    `closed` is what was allowed then and is not now, whatever of its scopes the key keeps.
    """

    used: tuple[ScopeUse, ...]
    unused: tuple[str, ...]
    enough: tuple[str, ...]
    closed: tuple[tuple[str, str], ...]


def needs_of(row: str) -> frozenset[str]:
    """The grants that a `p` row needs, from its text in the log."""
    cells = row.split(", ", 2)
    return frozenset(cells[1].split()) if len(cells) == 3 and cells[0] == "p" else frozenset()


def usage(snapshot: Snapshot, held: frozenset[str], scopes: Collection[str], uses: Iterable[Use]) -> Usage:
    """Judge the uses of a key that holds `held`, its `scopes` among them, under the active policy.

    A need that no scope names is put down to each scope that leads to it through `g` rows.
    """
    held = snapshot.in_force(held)
    facts = snapshot.effective(grant for grant in held if is_fact(grant))
    leads: Mapping[str, frozenset[str]] = {scope: snapshot.effective({scope}) for scope in sorted(scopes)}
    counted: dict[str, list[int]] = {}
    enough: set[str] = set()
    closed: set[tuple[str, str]] = set()
    for use in uses:
        for need in needs_of(use.row) - facts:
            for scope in [need] if need in leads else [scope for scope, led in leads.items() if need in led]:
                number_and_last = counted.setdefault(scope, [0, 0])
                number_and_last[0] += use.number
                number_and_last[1] = max(number_and_last[1], use.last)
        rules = snapshot.rules_for(use.resource, use.action)
        _, rule = outcome(rules, snapshot.effective(held))
        if rule is None:
            closed.add((use.action, use.resource))
        else:
            for need in rule.needs - facts:
                enough |= {need} if need in snapshot.policy.catalog else {s for s, led in leads.items() if need in led}
    narrowed = without_implied(snapshot, sorted(enough))
    return Usage(
        tuple(ScopeUse(scope, *counted[scope]) for scope in sorted(counted)),
        tuple(sorted(scope for scope in scopes if scope not in counted)),
        narrowed,
        tuple(sorted(closed)),
    )

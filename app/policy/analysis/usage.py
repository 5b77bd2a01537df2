"""Which scopes a key uses, according to its decisions, and the narrower scopes that would suffice."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from app.identity.principal import is_fact
from app.policy.analysis.near_rows import without_implied
from app.policy.analysis.reach import outcome
from app.policy.engine.snapshot import Snapshot
from app.policy.language.endpoint import Endpoint


@dataclass(frozen=True, slots=True)
class Use:
    """What was allowed, how often, and when last, in microseconds since 1970. `row` is the row's text at the time."""

    action: str
    resource: str
    row: str
    number: int
    last: int


@dataclass(frozen=True, slots=True)
class ScopeUse:
    """A scope that deciding rows needed, how often, and when last."""

    scope: str
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class Usage:
    """The scopes of a key that were used and those that were not. `sufficient_scopes` are narrower and would suffice.

    `no_longer_allowed` was allowed then and is not now, even with all scopes of the key.
    """

    used: tuple[ScopeUse, ...]
    unused: tuple[str, ...]
    sufficient_scopes: tuple[str, ...]
    no_longer_allowed: tuple[Endpoint, ...]


def needs_of(row: str) -> frozenset[str]:
    """The grants that a `p` row needs, from its text in the decision log."""
    cells = row.split(", ", 2)
    return frozenset(cells[1].split()) if len(cells) == 3 and cells[0] == "p" else frozenset()


def usage(snapshot: Snapshot, held: frozenset[str], scopes: Collection[str], uses: Iterable[Use]) -> Usage:
    """Evaluate the uses of a key that holds `held`, including its `scopes`, under the active policy.

    A need that is not a scope itself is attributed to each scope that leads to it through `g` rows.
    """
    held = snapshot.in_force(held)
    facts = snapshot.effective(grant for grant in held if is_fact(grant))
    leads: Mapping[str, frozenset[str]] = {scope: snapshot.effective({scope}) for scope in sorted(scopes)}
    counted: dict[str, list[int]] = {}
    sufficient: set[str] = set()
    no_longer_allowed: set[tuple[str, str]] = set()
    for use in uses:
        for need in needs_of(use.row) - facts:
            for scope in [need] if need in leads else [scope for scope, led in leads.items() if need in led]:
                number_and_last = counted.setdefault(scope, [0, 0])
                number_and_last[0] += use.number
                number_and_last[1] = max(number_and_last[1], use.last)
        rules = snapshot.rules_for(use.resource, use.action)
        _, rule = outcome(rules, snapshot.effective(held))
        if rule is None:
            no_longer_allowed.add((use.action, use.resource))
        else:
            for need in rule.needs - facts:
                sufficient |= (
                    {need} if need in snapshot.policy.catalog else {s for s, led in leads.items() if need in led}
                )
    narrowed = without_implied(snapshot, sorted(sufficient))
    return Usage(
        tuple(ScopeUse(scope, count, time_of(last)) for scope, (count, last) in sorted(counted.items())),
        tuple(sorted(scope for scope in scopes if scope not in counted)),
        narrowed,
        tuple(Endpoint(*each) for each in sorted(no_longer_allowed)),
    )


def time_of(microseconds: int) -> datetime:
    """The time so many microseconds after 1970, exactly."""
    return datetime.fromtimestamp(microseconds // 1_000_000, UTC).replace(microsecond=microseconds % 1_000_000)

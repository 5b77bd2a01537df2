"""Which rows and endpoints the cases of a policy exercise, and which could change unnoticed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import floor

from app.policy.analysis.case_runner import Outcome
from app.policy.engine.rule_index import Key
from app.policy.engine.snapshot import Snapshot
from app.policy.language.rule import Membership, Rule

Row = Rule | Membership


@dataclass(frozen=True, slots=True)
class CoveredShare:
    """How many of the rows or endpoints are exercised."""

    covered: int
    total: int

    @property
    def percent(self) -> float:
        """The percentage, rounded down to a tenth so that only full coverage is 100; 100 of nothing."""
        return floor(1000 * self.covered / self.total) / 10 if self.total else 100.0


@dataclass(frozen=True, slots=True)
class Coverage:
    """What is exercised, and what is not. Only cases that pass count.

    A case exercises a `p` row that decides or is one of the rows that deny, a `g` row that adds a grant which the
    deciding row needs, a row that lets an app ask for a scope that it has, and the endpoint that it is about.
    """

    rows: CoveredShare
    endpoints: CoveredShare
    idle_rows: tuple[Row, ...]
    idle_endpoints: tuple[Key, ...]

    @property
    def percent(self) -> float:
        """The lower of the two shares."""
        return min(self.rows.percent, self.endpoints.percent)


def measure(snapshot: Snapshot, outcomes: Iterable[Outcome]) -> Coverage:
    """Measure the coverage of these outcomes."""
    used: set[Row] = set()
    asked: set[Key] = set()
    for outcome in outcomes:
        found = outcome.explanation
        if found and outcome.passed:
            asked.add((found.target.resource, found.target.action))
            decided = [found.decision.rule, *(side.decision.rule for side in found.sides)]
            used.update(found.denies, found.added_by, found.asks, filter(None, decided))
    rows: list[Row] = [*snapshot.policy.rules, *snapshot.policy.memberships]
    endpoints = sorted({*((route.template, route.method) for route in snapshot.table.routes), *snapshot.index})
    idle_rows = tuple(row for row in rows if row not in used)
    idle_endpoints = tuple(key for key in endpoints if key not in asked)
    return Coverage(
        CoveredShare(len(rows) - len(idle_rows), len(rows)),
        CoveredShare(len(endpoints) - len(idle_endpoints), len(endpoints)),
        idle_rows,
        idle_endpoints,
    )

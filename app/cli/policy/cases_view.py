"""The JSON document of `authz policy test`."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType, field

from app.cli.policy.faults_view import Directory
from app.policy.analysis.case_runner import Outcome
from app.policy.analysis.coverage import Coverage
from app.policy.language.caller import caller_words
from app.policy.language.endpoint import Endpoint
from app.policy.language.row_view import RowView

Verdict = Literal["allow", "deny"]


class CaseResult(RowView, frozen=True):
    """A case and its result. `got` and `reason` are null if its route or role does not exist."""

    name: str
    held: Annotated[list[str], Meta(description="The grants of the caller.")] = field(name="as")
    action: str
    resource: str
    expected: Verdict
    expected_why: str | None
    got: Verdict | None
    reason: str | None
    rule: Annotated[RowView | None, Meta(description="The row that decided.")]
    missing: list[str]
    passed: bool
    problem: Annotated[str, Meta(description="What is not as expected; empty if the case passed.")]
    hint: str


class CoveredRows(Struct, frozen=True):
    """How many rows the cases exercise, and those that none does."""

    total: int
    covered: int
    percent: float
    missing: list[RowView]


class CoveredEndpoints(Struct, frozen=True):
    """How many endpoints the cases exercise, and those that none does."""

    total: int
    covered: int
    percent: float
    missing: list[Endpoint]


class CoverageView(Struct, frozen=True):
    """What the cases exercise. `percent` is the lower of the two shares."""

    percent: float
    rows: CoveredRows
    endpoints: CoveredEndpoints


class TestedPolicy(Struct, frozen=True):
    """The results of all cases. `coverage` is there with --coverage or --fail-under."""

    ok: Annotated[bool, Meta(description="Whether there are cases, all pass, and the coverage suffices.")]
    directory: Directory
    revision: str
    passed: int
    failed: int
    cases: list[CaseResult]
    coverage: CoverageView | UnsetType = UNSET


def case_result(outcome: Outcome) -> CaseResult:
    """View the result of a case."""
    case, found = outcome.case, outcome.explanation
    decision = found.decision if found else None
    at = case.view
    return CaseResult(
        at.file,
        at.line,
        at.column,
        at.row,
        name=case.name,
        held=caller_words(case.held),
        action=case.action,
        resource=case.resource,
        expected="allow" if case.allowed else "deny",
        expected_why=case.why.text if case.why else None,
        got=None if decision is None else "allow" if decision else "deny",
        reason=None if decision is None else str(decision.reason),
        rule=decision.rule.view if decision is not None and decision.rule else None,
        missing=[] if decision is None else list(decision.missing),
        passed=outcome.passed,
        problem=outcome.problem,
        hint=outcome.hint,
    )


def coverage_view(found: Coverage) -> CoverageView:
    """View the coverage."""
    rows, endpoints = found.rows, found.endpoints
    return CoverageView(
        found.percent,
        CoveredRows(rows.total, rows.covered, rows.percent, [row.view for row in found.idle_rows]),
        CoveredEndpoints(
            endpoints.total,
            endpoints.covered,
            endpoints.percent,
            [Endpoint(action, resource) for resource, action in found.idle_endpoints],
        ),
    )

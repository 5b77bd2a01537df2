"""Coverage counts exactly the rows that decide a case."""

from __future__ import annotations

import pytest

from app.policy.analysis.case_runner import run
from app.policy.analysis.coverage import Coverage, CoveredShare, measure
from app.policy.engine.snapshot import Snapshot
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from tests.policy.small import TABLE, files

ROWS = (
    "p, a:read, /x/**, GET, allow",
    "p, env:test, /x, GET, deny",
    "p, a:write, /x, POST, allow",
    "p, b:read, record, read, allow",
    "g, role:one, a:read",
    "g, user:u1, role:one",
)


def idle(cases: str) -> tuple[list[int], set[tuple[str, str]]]:
    """The lines of rows, and the endpoints, that these cases do not exercise."""
    made = {**files(*ROWS), "tests/own.yaml": f"cases:\n{cases}\n# end\n".encode()}
    snapshot = Snapshot(parse(from_bytes(made)), TABLE)
    found = measure(snapshot, run(snapshot, snapshot.policy.cases))
    assert found.rows == CoveredShare(len(ROWS) - len(found.idle_rows), len(ROWS))
    assert found.endpoints == CoveredShare(len(ENDPOINTS) - len(found.idle_endpoints), len(ENDPOINTS))
    return [row.line for row in found.idle_rows], set(found.idle_endpoints)


ENDPOINTS = {("/x", "GET"), ("/x", "POST"), ("/x/{id}", "GET"), ("/y", "GET"), ("record", "read")}


def test_a_row_is_exercised_by_a_case_that_it_decides() -> None:
    assert idle("  - {as: a:read, allow: GET /x}") == ([2, 3, 4, 5, 6], ENDPOINTS - {("/x", "GET")})
    assert idle("  - {as: a:read env:test, deny: GET /x}")[0] == [1, 3, 4, 5, 6]
    assert idle("  - {as: user:u1, allow: GET /x/7}") == ([2, 3, 4], ENDPOINTS - {("/x/{id}", "GET")})
    assert idle("  - {as: b:read, allow: 'read record:one'}") == ([1, 2, 3, 5, 6], ENDPOINTS - {("record", "read")})


def test_a_denial_without_a_deny_row_covers_only_the_endpoint() -> None:
    assert idle("  - {as: a:read, deny: POST /x}") == ([1, 2, 3, 4, 5, 6], ENDPOINTS - {("/x", "POST")})


def test_a_case_that_fails_exercises_nothing() -> None:
    assert idle("  - {as: a:read, deny: GET /x}") == ([1, 2, 3, 4, 5, 6], ENDPOINTS)


def test_only_complete_coverage_is_a_hundred_percent() -> None:
    assert CoveredShare(1999, 2000).percent == 99.9
    assert CoveredShare(0, 0).percent == 100


@pytest.mark.parametrize(("rows", "endpoints"), [(1, 2), (2, 1)])
def test_the_coverage_is_that_of_rows_or_of_endpoints_whichever_is_lower(rows: int, endpoints: int) -> None:
    assert Coverage(CoveredShare(rows, 4), CoveredShare(endpoints, 4), (), ()).percent == 25

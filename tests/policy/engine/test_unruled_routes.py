"""Each endpoint needs a row that says who may use it: an allow, or a deny whatever the request."""

from __future__ import annotations

import pytest

from app.policy.engine.checks import check
from app.policy.language.fault import Fault
from app.policy.routing.routes import Route, RouteTable
from tests.policy.conftest import Said
from tests.policy.small import snapshot

TABLE = RouteTable(
    [Route("/x", "GET"), Route("/x/{id}", "GET"), Route("/f/{name}.json", "GET"), Route("/x/new", "GET")]
)
COVERED = ("p, a:read, /x, GET, allow", "p, a:read, /f/*, GET, allow", "p, a:read, /x/new, GET, allow")


def unruled(*rows: str) -> list[Fault]:
    return [fault for fault in check(snapshot(*rows, table=TABLE)) if fault.code == "unruled-route"]


@pytest.mark.parametrize(
    "deny",
    [
        "p, anyone, /x/{id}, GET, deny, has(subject.act.sub)",
        "p, anyone, /x/*, GET, deny, request.ip == '10.0.0.1'",
        "p, env:test, /x/**, GET, deny, params.id == '7'",
        "p, anyone, /x/{id}, GET, deny, \"has(params.id) && subject.type == 'key'\"",
    ],
)
def test_a_deny_of_some_requests_is_not_enough(deny: str, said: Said) -> None:
    (fault,) = found = unruled(*COVERED, deny)
    said(found)
    assert fault.message == "no rule covers GET /x/{id}"
    assert fault.hint.endswith("; rows.csv:4 denies it under a condition only")
    assert not unruled(*COVERED, deny, "p, a:write, /x/{id}, GET, allow")


@pytest.mark.parametrize(
    "deny",
    [
        "p, anyone, /x/{id}, GET, deny",
        "p, env:test, /x/**, GET, deny",
        "p, anyone, /x/*, GET, deny, has(params.id)",
        'p, anyone, /x/*, GET, deny, "has(params.id) || has(subject.act.sub)"',
    ],
)
def test_a_deny_of_all_requests_is_enough(deny: str) -> None:
    assert not unruled(*COVERED, deny)


def test_a_condition_on_the_parameter_covers_no_literal_sibling() -> None:
    rows = ("p, a:read, /x, GET, allow", "p, anyone, /x/*, GET, deny, has(params.id)", "p, a:read, /f/*, GET, allow")
    assert [fault.message for fault in unruled(*rows)] == ["no rule covers GET /x/new"]


def test_a_parameter_within_a_segment_counts_too() -> None:
    rows = (COVERED[0], COVERED[2], "p, a:read, /x/{id}, GET, allow", "p, anyone, /f/*, GET, deny, has(params.name)")
    assert not unruled(*rows)


SAMPLE = RouteTable(
    [Route("/x", "GET"), Route("/teams", "GET"), Route("/teams", "OPTIONS"), Route("/games", "GET")],
    sample=["/teams", "/games"],
)


def test_a_policy_without_any_row_of_the_sample_api_is_told_how_to_leave_it_out() -> None:
    rows = ("p, anyone, /**, OPTIONS, allow", "p, a:read, /x, GET, allow")
    setting = "set AUTHZ_SAMPLE_API=false to leave out the sample API, or add `p, "
    for table in (SAMPLE, SAMPLE.extended([Route("shop:/orders", "GET")])):
        found = check(snapshot(*rows, table=table))
        hints = {fault.message.split()[-1]: fault.hint for fault in found if fault.code == "unruled-route"}
        assert {each for each, hint in hints.items() if hint.startswith(setting)} == {"/teams", "/games"}
    (fault,) = (fault for fault in check(snapshot(*rows, "p, a:read, /teams, GET, allow", table=SAMPLE)))
    assert (fault.message, "AUTHZ_SAMPLE_API" in fault.hint) == ("no rule covers GET /games", False)

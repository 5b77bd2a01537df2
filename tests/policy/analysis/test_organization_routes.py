"""The finding about routes of an organization that members of others may use."""

from __future__ import annotations

import pytest

from app.policy.analysis.findings import find
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import snapshot

TABLE = RouteTable(
    [
        Route("/o/{org_id}", "GET"),
        Route("/o/{org_id}", "OPTIONS"),
        Route("/o/{org_id}", "POST"),
        Route("/o/{org_id}/x/{id}", "GET"),
        Route("/y", "GET"),
    ]
)
SAME = '"subject.org.id == params.org_id"'
OTHER = '"subject.org.id != params.org_id"'


@pytest.mark.parametrize(
    ("rows", "lines"),
    [
        (("p, a:read, /o/**, GET, allow",), [1]),
        (("p, a:read, /o/{org_id}, GET, allow",), [1]),
        (("p, org:acme a:read, /o/**, GET, allow",), [1]),
        (("p, a:read, /y, GET, allow",), []),
        ((f"p, a:read, /o/**, GET, allow, {SAME}",), []),
        ((f"p, a:read, /o/**, GET, allow, {SAME}", "p, a:write, /o/*, POST, allow"), [2]),
        (('p, a:read, /o/**, GET, allow, "has(params.org_id)"',), []),
        (("p, a:read, /o/**, GET, allow, \"subject.org.role == 'admin'\"",), [1]),
        (("p, a:read, /o/**, GET, allow, \"params['org_id'] == subject.org.id\"",), []),
        (("p, a:read, /o/**, GET, allow", f"p, anyone, /o/**, GET, deny, {OTHER}"), []),
        (("p, a:read, /o/**, GET, allow", f"p, b:read, /o/**, GET, deny, {OTHER}"), [1]),
        (("p, a:read, /o/**, GET, allow", f"p, a:read, /o/{{org_id}}, GET, deny, {OTHER}"), [1]),
        (("p, a:read, /o/**, GET, deny",), []),
        (("p, anyone, /**, OPTIONS, allow",), []),
        (("p, anyone, /o/**, GET|OPTIONS, allow",), [1]),
    ],
)
def test_a_row_that_does_not_read_the_organization_in_the_path(rows: tuple[str, ...], lines: list[int]) -> None:
    found = [each.at for each in find(snapshot(*rows, table=TABLE)) if each.at.code == "uncompared-organization"]
    assert [fault.line for fault in found] == lines
    assert all("subject.org.id == params.org_id" in fault.hint for fault in found)


@pytest.mark.parametrize("name", ["organization_id", "organisation_id"])
def test_other_names_of_the_parameter(name: str) -> None:
    table = RouteTable([Route(f"/o/{{{name}}}", "GET"), Route("/o/{owner_id}", "POST")])
    rows = ("p, a:read, /o/*, GET, allow", "p, a:read, /o/{owner_id}, POST, allow")
    (found,) = [each.at for each in find(snapshot(*rows, table=table)) if each.at.code == "uncompared-organization"]
    assert (found.line, f"params.{name}" in found.hint) == (1, True)

"""No policy lets an app reach keys, the policy, the console or the registry of apps."""

from __future__ import annotations

import pytest

from app.policy.engine.app_checks import CLOSED_TO_APPS
from app.policy.engine.checks import check
from app.policy.language.fault import Fault
from app.policy.routing.routes import Route, RouteTable
from tests.policy.conftest import Said
from tests.policy.small import snapshot

PUBLISH = "/api/v1/policies/publish"
TABLE = RouteTable(
    [Route(PUBLISH, "POST"), *(Route(path, "GET") for path in ("/api/v1/policies", "/api/v1/api-keys", "/x"))]
)
ROWS = ("p, a:write, /api/v1/policies/**, GET|POST, allow", "p, a:read, /x, GET, allow")


def faults(*rows: str) -> list[Fault]:
    return [fault for fault in check(snapshot(*rows, table=TABLE)) if fault.code in ("app-scope", "app-reach")]


@pytest.mark.parametrize(
    ("rows", "code"),
    [
        ((*ROWS, "p, app-kind:registered, scope:a:write, ask, allow"), "app-scope"),
        ((*ROWS, "g, c:read, role:r", "g, role:r, a:write", "p, app:acme, scope:c:read, ask, allow"), "app-scope"),
        (
            (
                "p, role:r, /api/v1/policies/**, GET|POST, allow",
                "g, c:read, role:r",
                "p, app:acme, scope:c:read, ask, allow",
            ),
            "app-scope",
        ),
        (("p, a:write b:read, /api/v1/policies, GET, allow", "p, app:acme, scope:b:read, ask, allow"), "app-scope"),
        ((*ROWS, f"p, app:acme, {PUBLISH}, POST, allow"), "app-reach"),
        ((*ROWS, f"p, auth:oauth, {PUBLISH}, POST, allow"), "app-reach"),
        ((*ROWS, f"p, app-host:a.example app:acme, {PUBLISH}, POST, allow"), "app-reach"),
        ((*ROWS, "g, app:acme, a:write"), "app-reach"),
        ((*ROWS, "g, app:acme, role:r", "g, role:r, a:write"), "app-reach"),
        ((*ROWS, f"p, app:acme, {PUBLISH}, POST, allow, request.ip == '::1'"), "app-reach"),
        ((*ROWS, f"p, anyone, {PUBLISH}, POST, allow"), "app-reach"),
        ((*ROWS, "p, anyone, /api/v1/api-keys, GET, allow"), "app-reach"),
        ((*ROWS, "p, app:acme, /api/v1/**, GET|POST, allow"), "app-reach"),
        ((*ROWS, "p, app:acme, /api/v1/**, GET|POST, allow", f"p, auth:oauth, {PUBLISH}, POST, deny"), "app-reach"),
        (
            (*ROWS, "p, app:acme, /api/v1/**, GET|POST, allow", "p, auth:oauth, /api/v1/api-keys, GET, deny"),
            "app-reach",
        ),
        ((*ROWS, f"p, app:acme, {PUBLISH}, POST, allow", f"p, app:other, {PUBLISH}, POST, deny"), "app-reach"),
    ],
)
def test_what_no_app_may_have_is_a_fault(rows: tuple[str, ...], code: str, said: Said) -> None:
    found = faults(*rows)
    assert {fault.code for fault in found} == {code}
    said(found)


@pytest.mark.parametrize(
    "rows",
    [
        ROWS,
        (*ROWS, "p, app-kind:registered, scope:a:read, ask, allow"),
        (*ROWS, "p, app:acme, scope:a:write, ask, deny", "p, app:acme, /x, GET, allow"),
        (*ROWS, f"p, auth:jwt app:acme, {PUBLISH}, POST, deny"),
        (*ROWS, "p, anyone, /api/v1/policies, GET, allow"),
        (*ROWS, "g, app:acme, a:read"),
        (*ROWS, f"p, app:acme, {PUBLISH}, POST, allow", f"p, auth:oauth, {PUBLISH}, POST, deny"),
    ],
)
def test_everything_else_is_allowed(rows: tuple[str, ...]) -> None:
    assert faults(*rows) == []


def test_a_path_is_closed_with_all_below_it_and_no_other() -> None:
    table = RouteTable([Route(path, "GET") for each in CLOSED_TO_APPS for path in (each, f"{each}/below", f"{each}-x")])
    rows = [f"p, app:acme, {route.template}, GET, allow" for route in table.routes]
    found = [fault for fault in check(snapshot(*rows, table=table)) if fault.code == "app-reach"]
    assert len(found) == 2 * len(CLOSED_TO_APPS)

"""HEAD and OPTIONS of an upstream whose document leaves them out: only rows decide about them."""

from __future__ import annotations

import pytest

from app.gateway.resource_reference import resolve_target
from app.policy.analysis.explain import explain
from app.policy.analysis.matrix import rows as matrix_rows
from app.policy.engine.checks import check
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import shipped_files

ORDERS = """\
openapi: 3.1.0
servers: [{url: https://orders.example/v1}]
paths:
  /orders: {get: {}, post: {}}
  /orders/{id}: {get: {}, delete: {}}
  /jobs: {post: {}}
  /seen: {get: {}, head: {}, options: {}}
"""
TABLE = RouteTable([Route("/own", "GET")])
BASE = """\
p, anyone, /own, GET, allow
p, catalog:read, orders:/v1/orders/**, GET, allow
p, catalog:write, orders:/v1/orders/**, POST|DELETE, allow
p, catalog:write, orders:/v1/jobs, POST, allow
p, catalog:read, orders:/v1/seen, GET|HEAD|OPTIONS, allow
"""
OTHER, READER, WRITER, STRANGER = (
    frozenset({"holdings:read"}),
    frozenset({"catalog:read"}),
    frozenset({"catalog:write"}),
    frozenset[str](),
)
ONE = "orders:/v1/orders/{id}"


def snapshot(rows: str) -> Snapshot:
    shipped = shipped_files()
    files = {name: shipped[name] for name in ("model.conf", "permissions.toml")}
    files |= {"rows.csv": f"{BASE}{rows}# end\n".encode(), "upstreams/orders.openapi.yaml": ORDERS.encode()}
    return Snapshot(parse(from_bytes(files)), TABLE)


@pytest.mark.parametrize(
    ("rows", "held", "resource", "action", "allowed"),
    [
        # HEAD follows GET …
        ("", READER, "orders:/v1/orders", "HEAD", True),
        ("", READER, ONE, "HEAD", True),
        ("", WRITER, ONE, "HEAD", False),
        ("", STRANGER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny\n", READER, ONE, "HEAD", False),
        # … if there is GET, and the document does not define HEAD.
        ("p, holdings:read, orders:/v1/seen, GET, allow\n", OTHER, ONE, "HEAD", False),
        ("p, holdings:read, orders:/v1/seen, GET, allow\n", OTHER, "orders:/v1/seen", "HEAD", False),
        ("p, holdings:read, orders:/v1/orders, GET, allow\n", OTHER, "orders:/v1/orders", "HEAD", True),
        # A row may name it too.
        ("p, anyone, orders:/v1/orders/*, HEAD, deny\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, HEAD, deny\n", READER, ONE, "GET", True),
        ("p, anyone, orders:/v1/orders/*, HEAD, allow\n", STRANGER, ONE, "HEAD", True),
        ("p, anyone, orders:/v1/orders/*, HEAD, allow\n", STRANGER, ONE, "GET", False),
        # It is decided as HEAD.
        ("p, anyone, orders:/v1/orders/*, GET, allow, \"action.name == 'GET'\"\n", STRANGER, ONE, "HEAD", False),
        # A deny of GET with a condition on the method applies to it too.
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"action.name == 'GET'\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"action.name == 'GET' && false\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"action.name == 'GET' && false\"\n", READER, ONE, "GET", True),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"request.method == 'GET'\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"!(action.name in ['HEAD'])\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"request['method'] == 'GET'\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"action['name'] == 'GET'\"\n", READER, ONE, "HEAD", False),
        ("p, anyone, orders:/v1/orders/*, GET|HEAD, deny, \"action.name == 'GET'\"\n", READER, ONE, "HEAD", True),
        ("p, anyone, orders:/v1/orders/*, GET, deny, \"params.id == '8'\"\n", READER, ONE, "HEAD", True),
        # OPTIONS is denied unless a row allows it.
        ("", READER, "orders:/v1/orders", "OPTIONS", False),
        ("", READER, "orders:/v1/seen", "OPTIONS", True),
        ("p, anyone, orders:/**, OPTIONS, allow\n", STRANGER, "orders:/v1/orders", "OPTIONS", True),
        ("p, anyone, orders:/**, OPTIONS, allow\n", STRANGER, "orders:/v1/jobs", "OPTIONS", True),
        ("p, anyone, orders:/**, OPTIONS, allow\n", STRANGER, ONE, "GET", False),
        ("p, anyone, orders:/v1/orders, OPTIONS, allow\n", STRANGER, ONE, "OPTIONS", False),
    ],
)  # fmt: skip
def test_head_and_options_are_decided_by_rows(
    rows: str, held: frozenset[str], resource: str, action: str, *, allowed: bool
) -> None:
    policy = snapshot(rows)
    given = {"action": {"name": action}, "params": {"id": "7"}}
    assert bool(policy.decide(held, resource, action, given)) is allowed
    assert bool(explain(policy, held, action, resource, given).decision) is allowed
    path = resource.removeprefix("orders:").replace("{id}", "7")
    assert resolve_target(policy, action, "route", f"orders:{path}").resource == resource


@pytest.mark.parametrize(("ip", "allowed"), [("192.0.2.1", True), ("::1", False)])
def test_a_deny_whose_condition_reads_another_part_of_the_request_keeps_it(ip: str, *, allowed: bool) -> None:
    policy = snapshot("p, anyone, orders:/v1/orders/*, GET, deny, \"request.ip == '::1'\"\n")
    assert bool(policy.decide(READER, ONE, "HEAD", {"request": {"ip": ip}})) is allowed


@pytest.mark.parametrize("actions", ["GET", "HEAD", "GET|HEAD"])
def test_a_row_applies_once_to_head(actions: str) -> None:
    rules = snapshot(f"p, anyone, orders:/v1/orders, {actions}, allow\n").index["orders:/v1/orders", "HEAD"]
    assert [rule.line for rule in rules] == [2, 6]


def test_implied_methods_need_no_rows_and_make_no_dead_rows() -> None:
    assert check(snapshot("")) == []
    assert check(snapshot("p, anyone, orders:/**, OPTIONS, allow\n")) == []
    faults = check(snapshot("p, anyone, orders:/v1/jobs, GET|HEAD, allow\np, anyone, /own, HEAD|OPTIONS, allow\n"))
    assert [(fault.code, fault.message.rpartition(" ")[2]) for fault in faults] == [
        ("dead-action", "GET"),
        ("dead-action", "HEAD"),
        ("dead-action", "HEAD"),
        ("dead-action", "OPTIONS"),
    ]


def test_the_matrix_shows_implied_methods_and_no_others() -> None:
    policy = snapshot("p, anyone, orders:/v1/orders, OPTIONS, allow\n")
    shown = {(row.resource, row.actions) for row in matrix_rows(policy)}
    assert {
        ("orders:/v1/orders", ("GET", "HEAD")),
        ("orders:/v1/orders", ("OPTIONS",)),
        (ONE, ("GET", "HEAD")),
    } <= shown
    for action, path in (("PATCH", "/v1/orders"), ("HEAD", "/v1/jobs"), ("GET", "/v1/jobs")):
        with pytest.raises(NoSuchTarget):
            resolve_target(policy, action, "route", f"orders:{path}")

"""The target of a question: a route or a resource, or the reason and status of its refusal."""

from __future__ import annotations

import pytest

from app.gateway.resource_reference import resolve_sent, resolve_target
from app.policy.engine.target import CLOSED, NoSuchTarget
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import snapshot

CONDITION = "\"params.id == 'é'\""
ROUTES = (
    Route("/x", "GET"),
    Route("/x", "POST"),
    Route("/x/{id}", "GET"),
    Route("/y", "GET"),
    Route("orders:/v1/orders/{id}", "GET"),
    Route("orders:/v1/orders/{id}", "PATCH"),
)
TABLE = RouteTable(ROUTES, closed=("orders:/v1/pairs/{a}",))
PLAIN = snapshot("p, a:read, /x/{id}, GET, allow", "p, a:read, record, read, allow", table=TABLE)
CONDITIONAL = snapshot(
    f"p, a:read, /x/{{id}}, GET, allow, {CONDITION}",
    f"p, a:read, orders:/v1/orders/{{id}}, PATCH, allow, {CONDITION}",
    "p, a:read, orders:/v1/orders/{id}, GET, allow",
    table=TABLE,
)


@pytest.mark.parametrize(
    ("kind", "identity", "action", "status", "reason"),
    [
        ("route", "/x/7", "POST", 405, "the route has no such method"),
        ("route", "/x/{id}", "POST", 405, "the route has no such method"),
        ("route", "/y", "BREW", 405, "the route has no such method"),
        ("route", "/z", "GET", 404, "no route matches this path"),
        ("route", "orders:/x/7", "GET", 404, "no route matches this path"),
        ("route", "x", "GET", 404, "a route is a template or a path"),
        ("route", ":/x", "GET", 404, "a route is a template or a path"),
        ("route", "/é", "GET", 404, "a route is a template or a path"),
        ("route", "", "GET", 404, "a route is a template or a path"),
        ("route", "/x//7", "GET", 400, "The path has an ambiguous spelling."),
        ("route", "/x/%2F", "GET", 400, "The path encodes a character that must not be encoded."),
        ("route", "orders:/v1/orders/7", "PUT", 405, "the route has no such method"),
        ("route", "orders:/v1/orders/{id}", "PUT", 405, "the route has no such method"),
        ("route", "orders:/v1/pairs/7", "GET", 404, "this path " + CLOSED),
        ("route", "/v1/pairs/7", "GET", 404, "no route matches this path"),
        ("route", "other:/v1/pairs/7", "GET", 404, "no route matches this path"),
        ("route", "orders:v1/orders/7", "GET", 404, "a route is a template or a path"),
        ("route", "orders:/é", "GET", 404, "a route is a template or a path"),
        ("route", ":x", "GET", 404, "a route is a template or a path"),
        ("route", "/x/7?a=b", "GET", 400, "The path has an ambiguous spelling."),
        ("route", "/x/{name}", "GET", 400, "The path has an ambiguous spelling."),
        ("route", "orders:/v1//orders/7", "GET", 400, "The path has an ambiguous spelling."),
        ("Route", "/x/7", "GET", 404, "no resource has such an id"),
        ("record:7", "8", "read", 404, "no resource has such a type"),
        ("record\n", "8", "read", 404, "no resource has such a type"),
        ("7", "8", "read", 404, "no resource has such a type"),
        ("récord", "8", "read", 404, "no resource has such a type"),
        ("a b", "7", "read", 404, "no resource has such a type"),
        ("", "7", "read", 404, "no resource has such a type"),
        ("record", "", "read", 404, "no resource has such an id"),
        ("record", "a b", "read", 404, "no resource has such an id"),
        ("record", "*", "read", 404, "no resource has such an id"),
        ("record", "/7", "read", 404, "no resource has such an id"),
        *(
            ("record", identity, "read", 404, "no resource has such an id")
            for identity in ("a\x00", "a\u200b", "a\x7f", "\ufeff7", "a{b", "a}", "a|b", 'a"b', "a\tb", "\n", "a\u2028")
        ),
    ],
)
def test_an_invalid_target_has_a_reason(kind: str, identity: str, action: str, status: int, reason: str) -> None:
    with pytest.raises(NoSuchTarget) as refused:
        resolve_target(PLAIN, action, kind, identity)
    assert (refused.value.status, str(refused.value)) == (status, reason)
    assert refused.value.hint
    service = identity.partition(":")[0] if kind == "route" and identity.startswith(("orders:/", "other:/")) else ""
    assert refused.value.service == (service if identity.isascii() else "")


def test_a_hint_names_the_methods_of_the_route() -> None:
    for identity, hint in (
        ("/x", "it has GET, POST"),
        ("/x/7", "it has GET"),
        ("orders:/v1/orders/7", "it has GET, HEAD, PATCH, OPTIONS"),
    ):
        with pytest.raises(NoSuchTarget) as refused:
            resolve_target(PLAIN, "BREW", "route", identity)
        assert refused.value.hint == hint


@pytest.mark.parametrize(
    ("identity", "template"),
    [
        ("/x", "/x"),
        ("/x/7", "/x/{id}"),
        ("/x/a:b", "/x/{id}"),
        ("orders:/v1/orders/7", "orders:/v1/orders/{id}"),
        ("orders:/v1/orders/{id}", "orders:/v1/orders/{id}"),
    ],
)
def test_a_route_is_found_by_path_or_template(identity: str, template: str) -> None:
    target = resolve_target(PLAIN, "GET", "route", identity)
    assert (target.action, target.resource, target.original) == ("GET", template, identity)


def test_a_path_and_its_template_are_the_same_route() -> None:
    for identity in ("/x/7", "/x/%C3%A9", "/x/7/", "/x/{id}"):
        target = resolve_target(PLAIN, "GET", "route", identity)
        assert (target.resource, target.action) == ("/x/{id}", "GET")
        assert not target.params, "no condition reads them"
    assert resolve_target(PLAIN, "read", "record", "7").original == "record:7"


def test_parameters_are_those_of_the_path_decoded() -> None:
    for identity, value in (("/x/%C3%A9", "é"), ("/x/7", "7"), ("/x/a+b", "a+b"), ("/x/{id}", None)):
        target = resolve_target(CONDITIONAL, "GET", "route", identity)
        assert (target.resource, target.original) == ("/x/{id}", identity)
        assert target.params == ({} if value is None else {"id": value})
    assert resolve_target(CONDITIONAL, "PATCH", "route", "orders:/v1/orders/%22").params == {"id": '"'}
    assert not resolve_target(CONDITIONAL, "GET", "route", "orders:/v1/orders/%22").params, "no condition reads them"


@pytest.mark.parametrize("identity", ["7", "a/b", "a:b", "ünï", "@scope/name", "a;b", "x" * 1000])
def test_a_resource_is_its_type_and_id(identity: str) -> None:
    target = resolve_target(PLAIN, "read", "record", identity)
    assert (target.action, target.original) == ("read", f"record:{identity}")


@pytest.mark.parametrize("identity", ["/x/{id}", "orders:/v1/orders/{id}", "/x/{", "/x/}", "/x/}{", "{}", "/z/{a}"])
def test_a_path_that_was_sent_is_no_template(identity: str) -> None:
    """Without its parameters a condition could open what it does not open at a door."""
    for policy in (PLAIN, CONDITIONAL):
        with pytest.raises(NoSuchTarget) as refused:
            resolve_sent(policy, "GET", "route", identity)
        assert (refused.value.status, str(refused.value)) == (400, "a path that was sent has no `{`")


@pytest.mark.parametrize(
    ("kind", "identity", "action"),
    [
        *(("route", path, "GET") for path in ("/x/7", "/x/%C3%A9", "/x/%7Bid%7D", "orders:/v1/orders/7")),
        *(("record", "7", "read"), ("record", "a:b", "read")),
    ],
)
def test_what_was_sent_is_otherwise_found_as_any_target(kind: str, identity: str, action: str) -> None:
    for policy in (PLAIN, CONDITIONAL):
        assert resolve_sent(policy, action, kind, identity) == resolve_target(policy, action, kind, identity)
    with pytest.raises(NoSuchTarget) as refused:
        resolve_sent(PLAIN, action, "record", "a{b")
    assert (refused.value.status, str(refused.value)) == (404, "no resource has such an id")

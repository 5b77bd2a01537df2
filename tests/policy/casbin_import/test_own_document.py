"""An import for the routes of a service: no access gets wider, whatever its OpenAPI document does not tell apart."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping
from itertools import product
from typing import Any

import pytest

from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import FinishedImport
from app.policy.language.fault import PolicyRefused
from tests.policy.casbin_import.importing import codes, faults, imported, model, rows_of, snapshot
from tests.support.casbin_policies import ALLOW_AND_DENY

NAME = "upstreams/orders.openapi.json"
TEXT = model(
    "r.sub == p.sub && keyMatch2(r.obj, p.obj) && r.act == p.act",
    groups="",
    policy="sub, obj, act, eft",
    effect=ALLOW_AND_DENY,
)
DENY = "!some(where (p.eft == deny))"
ANN = frozenset({"user:ann", "auth:jwt", "anyone"})
ORDERS = {"/orders": "get post", "/orders/{id}": "get put"}


def options(paths: Mapping[str, str], server: str = "/") -> ImportOptions:
    operations: dict[str, Any] = {
        path: {each: {"responses": {}} for each in methods.split()} for path, methods in paths.items()
    }
    document = {"openapi": "3.1.0", "info": {"title": "t", "version": "1"}, "servers": [{"url": server}]}
    text = json.dumps({**document, "paths": operations})
    return ImportOptions("orders", depth=2, samples=30, document=(NAME, text))


def carried(paths: Mapping[str, str], *rows: str, server: str = "/") -> FinishedImport:
    return imported(TEXT, *rows, options=options(paths, server))


def test_rows_are_about_the_routes_of_the_document() -> None:
    done = carried(ORDERS, "p, ann, /orders/:id, GET, allow", "p, ann, /orders/*, PUT, allow")
    assert rows_of(done) == [
        "p, user:ann, orders:/orders/*, GET, allow",
        "p, user:ann, orders:/orders/*/**, PUT, allow",
        "p, anyone, orders:/**, HEAD, deny",
        "p, anyone, orders:/orders, GET|POST, deny",
    ]
    assert (done.is_exact, codes(done, "no-effect")) == (True, set())
    assert codes(done, "remark") == {"last-slash"}  # and no depth, since the document is given
    assert json.loads(done.files[NAME])["paths"].keys() == ORDERS.keys()
    assert snapshot(done).decide(ANN, "orders:/orders/{id}", "PUT").allowed


def test_the_paths_are_those_below_the_address_of_the_server() -> None:
    done = carried(ORDERS, "p, ann, /v1/orders, GET, allow", server="https://orders.example/v1")
    assert "p, user:ann, orders:/v1/orders, GET, allow" in rows_of(done)
    assert done.is_exact


@pytest.mark.parametrize("path", ["/orders/archive", "/orders/archive/", "/:kind/archive"])
def test_a_deny_that_the_document_would_lose_refuses_the_import(path: str) -> None:
    found = faults(TEXT, "p, ann, /orders/:id, GET, allow", f"p, ann, {path}, GET, deny", options=options(ORDERS))
    assert [(each.code, each.line) for each in found] == [("document", 2)]
    assert "it would be open as `orders:/orders/{id}`" in found[0].message
    assert "add the path `" in found[0].hint
    whole = {**ORDERS, "/orders/archive": "get"}
    done = carried(whole, "p, ann, /orders/:id, GET, allow", "p, ann, /orders/archive, GET, deny")
    assert not snapshot(done).decide(ANN, "orders:/orders/archive", "GET").allowed


@pytest.mark.parametrize(
    "deny",
    [
        "p, ann, /orders/archive, PUT, deny",  # nothing allows PUT
        "p, ann, /reports/:id, GET, deny",
        "p, ann, /orders/:id/lines, GET, deny",
    ],
)
def test_a_deny_of_what_no_row_opens_is_dropped(deny: str) -> None:
    done = carried(ORDERS, "p, ann, /orders/:id, GET, allow", deny)
    assert [row for row in rows_of(done) if "ann" in row] == ["p, user:ann, orders:/orders/*, GET, allow"]
    assert (done.is_exact, codes(done, "left-out")) == (True, set())


def test_a_deny_of_a_part_of_what_another_deny_closes_is_dropped() -> None:
    rows = ("p, ann, /orders/:id, GET, allow", "p, ann, /orders/:id, PUT, deny", "p, ann, /orders/archive, PUT, deny")
    done = carried(ORDERS, *rows)
    assert [row for row in rows_of(done) if "PUT, deny" in row][:1] == ["p, user:ann, orders:/orders/*, PUT, deny"]
    assert not snapshot(done).decide(ANN, "orders:/orders/{id}", "PUT").allowed


def test_an_allow_of_a_part_of_a_route_is_left_out() -> None:
    done = carried(ORDERS, "p, ann, /orders, GET, allow", "p, ann, /orders/archive, GET, allow")
    assert [row for row in rows_of(done) if "ann" in row] == ["p, user:ann, orders:/orders, GET, allow"]
    assert (done.is_exact, codes(done, "left-out")) == (False, {"document"})
    assert done.verification.narrower
    rows = ("p, ann, /orders/:id, GET, allow", "p, bob, /orders/archive, GET, allow", "p, ann, stock, GET, allow")
    done = carried(ORDERS, *rows, "p, bob, stock, GET, deny")
    assert not [row for row in rows_of(done) if "bob" in row and "orders:/" in row]
    assert "p, user:ann, orders:stock, GET, allow" in rows_of(done)


def test_what_the_document_does_not_have_is_without_effect() -> None:
    done = carried(ORDERS, "p, ann, /orders, GET, allow", "p, ann, /stock, GET, allow", "p, ann, /orders, PUT, allow")
    assert [row for row in rows_of(done) if "ann" in row] == ["p, user:ann, orders:/orders, GET, allow"]
    notes = [note.message for note in done.notes if note.kind == "no-effect"]
    assert set(notes) == {"the document has no GET of `orders:/stock`", "the document has no PUT of `orders:/orders`"}
    assert done.is_exact


def test_nothing_is_written_if_no_row_is_about_the_document() -> None:
    assert faults(TEXT, "p, ann, /x, GET, allow", options=options(ORDERS))[0].code == "nothing-left"
    broken = ImportOptions("orders", document=(NAME, "{"))
    with pytest.raises(PolicyRefused) as refused:
        imported(TEXT, "p, ann, /orders, GET, allow", options=broken)
    assert {each.file for each in refused.value.faults} == {NAME}


def test_head_stays_closed_where_casbin_denies_it() -> None:
    paths = {"/orders/{id}.json": "get", "/orders/{a}": "get head", "/orders/{a}/{b}": "get"}
    rows = ("p, ann, /orders/*, GET, allow", "p, ann, /orders/:id, HEAD, allow")
    found = snapshot(carried(paths, *rows))
    held = ANN
    assert found.decide(held, "orders:/orders/{a}", "HEAD").allowed
    assert not found.decide(held, "orders:/orders/{a}/{b}", "HEAD").allowed


@pytest.mark.parametrize(
    ("rows", "closed"),
    [
        (("p, ann, /orders, GET, allow", "p, ann, /orders, HEAD, allow"), False),
        (("p, ann, /orders, GET, allow", "p, ann, /orders, HEAD, allow", "p, bob, /orders, GET, allow"), True),
        (("p, ann, /orders, HEAD, allow", "p, bob, /orders, GET, allow"), True),
        (("p, ann, /orders, HEAD, allow",), True),
        (("p, ann, /orders, GET, allow", "p, ann, /orders, HEAD, allow", "p, ann, /orders, GET, deny"), True),
    ],
)
def test_head_is_closed_where_the_document_cannot_tell_it_from_get(rows: tuple[str, ...], closed: bool) -> None:
    done = carried({"/orders": "get"}, *rows)
    found = snapshot(done)
    assert found.decide(ANN, "orders:/orders", "HEAD").allowed is not closed
    assert codes(done, "left-out") == ({"document"} if closed else set())
    bob = frozenset({"user:bob", "auth:jwt", "anyone"})
    assert not found.decide(bob, "orders:/orders", "HEAD").allowed
    assert found.decide(bob, "orders:/orders", "GET").allowed is any("bob" in row for row in rows)


def test_head_is_not_closed_where_there_is_none() -> None:
    paths = {"/orders": "get head", "/stock": "delete"}
    done = carried(paths, "p, ann, /*, GET, allow", "p, ann, /orders, HEAD, allow")
    assert not [row for row in rows_of(done) if "stock" in row and "HEAD" in row]
    assert snapshot(done).decide(ANN, "orders:/orders", "HEAD").allowed


def test_head_is_closed_too_where_casbin_allows_by_default() -> None:
    text = model(
        "r.sub == p.sub && r.obj == p.obj && r.act == p.act", groups="", policy="sub, obj, act, eft", effect=DENY
    )
    done = imported(text, "p, ann, /orders, GET, deny", options=options({"/orders": "get", "/orders/{id}": "get"}))
    found = snapshot(done)
    assert [found.decide(ANN, f"orders:{path}", "HEAD").allowed for path in ("/orders", "/orders/{id}")] == [
        False,
        True,
    ]
    assert "document" in codes(done, "left-out")


def test_a_role_of_rows_that_are_not_about_the_document_is_left_out() -> None:
    rows = ("p, clerk, /orders, GET", "p, manager, /stock, GET", "g, ann, clerk", "g, bob, manager", "g, manager, boss")
    done = imported(model(), *rows, options=options(ORDERS))
    assert rows_of(done, "orders_roles.csv") == ["g, user:ann, role:orders-clerk"]
    assert codes(done, "no-effect") == {"document", "unused-role"}


def test_random_rows_never_open_what_casbin_denies() -> None:
    """The import compares each result with pycasbin, and would raise `disputed`."""
    draw = random.Random(8)
    segments = ("orders", "archive", ":id", "x")
    patterns = ["/" + "/".join(parts) for count in (1, 2) for parts in product(segments, repeat=count)]
    patterns += ["/orders/*", "/*", "/orders/:id/*"]
    templates = ["/orders", "/{a}", "/orders/{id}", "/orders/archive", "/{a}/archive", "/{a}/{b}", "/orders/{id}/{x}"]
    outcomes = set[str]()
    for _ in range(30):
        paths = {path: draw.choice(("get", "get put", "put")) for path in draw.sample(templates, draw.randrange(1, 6))}
        rows = [
            f"p, {draw.choice(('ann', 'ann', 'bob'))}, {draw.choice(patterns)}, "
            f"{draw.choice(('GET', 'GET', 'PUT', 'HEAD'))}, {draw.choice(('allow', 'deny'))}"
            for _ in range(draw.randrange(2, 7))
        ]
        try:
            done = carried(paths, *dict.fromkeys(rows))
        except ImportRefused as refused:
            outcomes |= {each.code for each in refused.faults}
        else:
            outcomes.add("exact" if done.is_exact else "narrower")
    assert outcomes >= {"document", "exact", "narrower"}
    assert "disputed" not in outcomes, "each is found before pycasbin is asked"

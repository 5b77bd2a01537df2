"""An import for handlers that the application serves: rows are about their routes, and about no other route of it."""

from __future__ import annotations

import random

import pytest

from app.policy.casbin_import import handler_routes
from app.policy.casbin_import.casbin_policy import CasbinFiles
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.import_options import ImportOptions
from app.policy.casbin_import.import_run import FinishedImport, run_import
from app.policy.engine.live import build
from app.policy.language.fault import PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.casbin_import.importing import codes, model, rows_of
from tests.policy.small import files
from tests.support.casbin_policies import ALLOW_AND_DENY

APPLICATION = ("GET /v1/keys", "POST /v1/keys", "GET /v1/keys/{id}", "DELETE /v1/keys/{id}", "GET /health")
HANDLERS = ("GET /v1/orders", "POST /v1/orders", "GET /v1/orders/{id}", "PUT /v1/orders/{id}", "GET /files/**")
KEYS = "p, a:read, /v1/keys/**, GET|POST|DELETE, allow"
OPEN = "p, anyone, /health, GET, allow"
OPTIONS = "p, anyone, /**, OPTIONS, allow"
EVERY_METHOD = "keyMatch(r.obj, p.obj) && (r.act == p.act || p.act == '*')"
ANN = frozenset({"user:ann", "auth:jwt", "anyone"})


def table(*endpoints: str) -> RouteTable:
    routes = (Route(path, method) for method, path in (each.split() for each in endpoints))
    return RouteTable(route for each in routes for route in (each, Route(each.template, "OPTIONS")))


def carried(*rows: str, handlers: tuple[str, ...] = HANDLERS, base: tuple[str, ...] = ()) -> FinishedImport:
    text = model(
        f"r.sub == p.sub && {EVERY_METHOD}", groups="", policy="sub, obj, act, eft", effect=ALLOW_AND_DENY
    ).replace("'", '"')
    casbin = CasbinFiles("model.conf", text, {"policy.csv": "".join(f"{row}\n" for row in rows)})
    options = ImportOptions("orders", depth=2, samples=20, handlers=table(*handlers))
    parsed = parse(from_bytes(files(KEYS, OPEN, OPTIONS, *base)))
    return run_import(casbin, options, parsed, table(*APPLICATION, *handlers))


def allowed(done: FinishedImport, handlers: tuple[str, ...] = HANDLERS) -> set[str]:
    """What ann may do, besides OPTIONS and what everyone may."""
    found = build(parse(from_bytes(done.files)), table(*APPLICATION, *handlers))
    endpoints = ((each, *each.split()) for each in (*APPLICATION, *handlers))
    return {each for each, method, path in endpoints if found.decide(ANN, path, method).allowed} - {"GET /health"}


def test_rows_are_about_the_handlers() -> None:
    done = carried("p, ann, /v1/orders, GET, allow", "p, ann, /v1/orders/*, *, allow")
    assert allowed(done) == {"GET /v1/orders", "GET /v1/orders/{id}", "PUT /v1/orders/{id}"}
    assert "p, user:ann, /v1/orders, GET, allow" in rows_of(done)
    assert [row for row in rows_of(done) if "/v1/orders/*/**" in row]  # no other endpoint matches it
    assert "p, anyone, /v1/orders, POST, deny" in rows_of(done)
    assert not [name for name in done.added if name.startswith("upstreams/")]
    assert done.is_exact


@pytest.mark.parametrize("pattern", ["*", "/*", "/v1/*", "/v1*"])
def test_a_pattern_that_endpoints_of_the_application_match_opens_none_of_them(pattern: str) -> None:
    done = carried(f"p, ann, {pattern}, *, allow", "p, ann, /v1/orders, *, allow")
    opened = {each for each in HANDLERS if "/v1/" in each or pattern in ("*", "/*")}
    assert allowed(done) == opened
    rows = rows_of(done)
    assert "p, user:ann, /v1/orders/{id}, GET|PUT|OPTIONS, allow" in rows
    assert len({row.split(", allow")[0] for row in rows}) == len(rows)


def test_a_deny_that_endpoints_of_the_application_match_closes_none_of_them() -> None:
    done = carried("p, ann, /v1/orders/*, *, allow", "p, ann, /v1/orders, *, allow", "p, ann, /v1/*, GET, deny")
    assert allowed(done) == {"POST /v1/orders", "PUT /v1/orders/{id}"}
    found = build(parse(from_bytes(done.files)), table(*APPLICATION, *HANDLERS))
    assert found.decide(ANN | {"a:read"}, "/v1/keys", "GET").allowed


@pytest.mark.parametrize("deny", ["/v1/orders/archive", "/files/secret", "/files/a/b"])
def test_a_deny_of_a_part_of_a_handler_refuses_the_import(deny: str) -> None:
    with pytest.raises(ImportRefused, match="AUTHZ_ROUTES has no route for"):
        carried("p, ann, *, *, allow", f"p, ann, {deny}, GET, deny")


def test_an_allow_of_a_part_of_a_handler_is_left_out() -> None:
    done = carried("p, ann, /v1/orders, GET, allow", "p, ann, /v1/orders/archive, GET, allow")
    assert (allowed(done), done.is_exact, codes(done, "left-out")) == ({"GET /v1/orders"}, False, {"document"})


@pytest.mark.parametrize(
    "row",
    [
        "p, b:read, /v1/orders, GET, allow",
        "p, b:read, /v1/**, PUT, allow",
        "p, b:read, /v1/orders/*, GET|PUT, allow",
        "p, anyone, /**, GET, allow",
    ],
)
def test_the_base_must_not_open_a_handler(row: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        carried("p, ann, /v1/orders, GET, allow", base=(row,))
    assert [(each.file, each.line, each.column, each.code) for each in refused.value.faults] == [
        ("rows.csv", 4, 1, "route")
    ]
    assert "delete this row" in refused.value.faults[0].hint


@pytest.mark.parametrize("path", ["/v1/keys/{key_id}", "/v1/keys/{id}"])
def test_a_handler_that_rows_cannot_tell_from_the_application_refuses_the_import(path: str) -> None:
    with pytest.raises(ImportRefused, match="would be about other endpoints of authz") as refused:
        carried("p, ann, /v1/keys/*, PATCH, allow", handlers=(f"PATCH {path}", "GET /v1/orders"))
    assert [(each.code, each.file, each.line, each.column) for each in refused.value.faults] == [("route", ".", 0, 0)]


def test_a_pattern_that_would_need_too_many_rows_refuses_the_import() -> None:
    row = "p, ann, /v1/*, *, allow"  # which becomes two
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(handler_routes, "MAX_SPLIT", 1)
        assert carried(row)
        patch.setattr(handler_routes, "MAX_SPLIT", 0)
        with pytest.raises(ImportRefused, match="more than 0 rows would be necessary") as refused:
            carried(row)
    assert [(each.code, each.file, each.line) for each in refused.value.faults] == [("route", "policy.csv", 1)]


def test_a_row_of_the_base_that_denies_is_named_as_a_possible_cause() -> None:
    with pytest.raises(ImportRefused) as refused:
        carried("p, ann, /v1/orders, GET, allow", base=("p, anyone, /v1/orders, GET, deny",))
    assert {each.code for each in refused.value.faults} == {"disputed"}
    assert "a row of the policy that they are added to" in refused.value.faults[0].hint


def test_a_row_of_the_base_is_no_row_of_the_import_in_the_same_line() -> None:
    """The import may deny more by its own row in this line, and the row of the base denies what it allows."""
    rows = ("p, bob, /v1/orders/*, GET, deny", "p, ann, /v1/orders, GET, allow")
    assert "wider-deny" in {note.kind for note in carried(*rows).notes}
    with pytest.raises(ImportRefused) as refused:
        carried(*rows, base=("p, anyone, /v1/orders, GET, deny",))
    assert {each.code for each in refused.value.faults} == {"disputed"}


def test_random_rows_open_only_handlers_that_casbin_opens() -> None:
    """The import compares the verdicts about handlers with pycasbin, and would raise `disputed`."""
    draw = random.Random(18)
    patterns = ["*", "/*", "/v1/*", "/v1/orders", "/v1/orders/*", "/files/*", "/files/a", "/v1/orders/7"]
    outcomes = set[str]()
    for _ in range(12):
        handlers = tuple(draw.sample(HANDLERS, draw.randrange(1, 6)))
        rows = {
            f"p, {draw.choice(('ann', 'ann', 'bob'))}, {draw.choice(patterns)}, "
            f"{draw.choice(('GET', 'GET', 'PUT', '*'))}, {draw.choice(('allow', 'deny'))}": None
            for _ in range(draw.randrange(2, 7))
        }
        try:
            done = carried(*rows, handlers=handlers)
        except ImportRefused as refused:
            outcomes |= {each.code for each in refused.faults}
        else:
            outcomes.add("exact" if done.is_exact else "narrower")
            assert allowed(done, handlers) <= set(handlers)
    assert outcomes >= {"document", "exact", "narrower"}
    assert "disputed" not in outcomes

"""A parameter of a row matches parameters of routes, never literal siblings."""

from __future__ import annotations

import pytest

from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.conftest import Said
from tests.policy.small import files

TEMPLATES = (
    "/o", "/o/{id}", "/o/export", "/o/{id}/lines", "/o/export/lines", "/o/{id}/lines/{line}", "/o/{id}/lines/last"
)  # fmt: skip
TABLE = RouteTable(Route(template, "GET") for template in TEMPLATES)
OPEN = "p, a:read, /o/**, GET, allow"
KEY = frozenset({"auth:api_key", "env:test", "a:read"})


def built(*rows: str, documents: str = "") -> Snapshot:
    made = files(*rows)
    if documents:
        made["upstreams/shop.openapi.yaml"] = documents.encode()
    return build(parse(from_bytes(made)), TABLE)


def faults(*rows: str, documents: str = "") -> list[Fault]:
    with pytest.raises(PolicyRefused) as refused:
        built(*rows, documents=documents)
    return list(refused.value.faults)


def test_an_allow_of_a_parameter_opens_no_literal_sibling() -> None:
    rows = ("p, a:read, /o/{id}/**, GET, allow", "p, a:write, /o, GET, allow", "p, a:write, /o/export/**, GET, allow")
    snapshot = built(*rows)
    reader = frozenset({"a:read"})
    opened = {template for template in TEMPLATES if snapshot.decide(reader, template, "GET")}
    assert opened == {"/o/{id}", "/o/{id}/lines", "/o/{id}/lines/{line}", "/o/{id}/lines/last"}


def test_a_literal_sibling_without_its_own_row_is_named_with_the_row_of_the_parameter() -> None:
    found = faults("p, a:read, /o, GET, allow", "p, a:read, /o/{order}/**, GET, allow")
    assert [(fault.code, fault.message) for fault in found] == [
        ("unruled-route", "no rule covers GET /o/export"),
        ("unruled-route", "no rule covers GET /o/export/lines"),
    ]
    assert all("rows.csv:2" in fault.hint and "`*`" in fault.hint for fault in found)


@pytest.mark.parametrize(
    ("deny", "wide"),
    [
        ("p, env:test, /o/{id}, GET, deny", "/o/*"),
        ("p, env:test, /o/{other}, GET, deny", "/o/*"),
        ("p, env:test, /o/{id}/**, GET, deny", "/o/*/**"),
        ("p, env:test, /o/*/lines/{line}, GET, deny", "/o/*/lines/*"),
        ("p, a:read, /o/{id}, GET, deny, params.id == '7'", "/o/*"),
        ("p, anyone, /o/{id}, GET, deny", "/o/*"),
    ],
)
def test_a_deny_that_leaves_a_literal_sibling_open_is_refused(deny: str, wide: str, said: Said) -> None:
    (fault,) = faults(OPEN, deny)
    said([fault])
    assert (fault.code, fault.file, fault.line, fault.column) == ("narrow-deny", "rows.csv", 2, deny.index("/o/") + 1)
    assert f"`{wide}`" in fault.hint
    assert built(OPEN, deny.replace("{id}", "*").replace("{other}", "*").replace("{line}", "*"))


def test_a_deny_that_leaves_nothing_open_is_accepted() -> None:
    deny = "p, env:test, /o/{id}, GET, deny"
    assert built(OPEN, deny, "p, env:test, /o/export, GET, deny")
    assert built(OPEN, deny, "p, anyone, /o/export, GET, deny")
    # Only a user reaches the sibling, and only a key has an environment.
    others = ("p, a:read, /o/{id}/**, GET, allow", "p, a:read, /o, GET, allow")
    assert built(*others, "p, auth:jwt, /o/export/**, GET, allow", deny)


@pytest.mark.parametrize(
    "sibling",
    [
        "p, env:test user:u1, /o/export, GET, deny",
        "p, env:test, /o/export, GET, deny, request.ip == '::1'",
        "p, env:live, /o/export, GET, deny",
    ],
)
def test_a_sibling_that_is_denied_to_fewer_callers_is_still_left_open(sibling: str) -> None:
    found = faults(OPEN, "p, env:test, /o/{id}, GET, deny", sibling)
    assert "narrow-deny" in [fault.code for fault in found]


@pytest.mark.parametrize("condition", ["has(params.id)", "\"'id' in params\""])
def test_a_condition_on_the_parameter_denies_only_the_parameter(condition: str) -> None:
    snapshot = built(OPEN, f"p, env:test, /o/*, GET, deny, {condition}")
    assert not snapshot.decide(KEY, "/o/{id}", "GET", {"params": {"id": "7"}})
    assert snapshot.decide(KEY, "/o/export", "GET", {"params": {}})


def test_parameters_of_another_service_are_distinguished_from_its_literals() -> None:
    document = "openapi: 3.1.0\npaths:\n  /a/{b}: {get: {}}\n  /a/export: {get: {}}\n"
    rows = (OPEN, "p, a:read, shop:/a/**, GET, allow")
    assert [fault.code for fault in faults(*rows, "p, env:test, shop:/a/{b}, GET, deny", documents=document)] == [
        "narrow-deny"
    ]
    snapshot = built(*rows, "p, env:test, shop:/a/*, GET, deny", documents=document)
    assert not snapshot.decide(KEY, "shop:/a/export", "GET")


@pytest.mark.parametrize(
    ("deny", "left"),
    [
        ("shop:/f/{name}.json", "GET shop:/f/index.json"),
        ("shop:/*/{name}.json", "GET shop:/f/index.json"),
        ("shop:/f/index.json", ""),
        ("shop:/f/*", ""),
        ("shop:/f/other.txt", ""),
        ("shop:/v1/{op}:cancel", ""),
    ],
)
def test_a_parameter_that_is_part_of_a_segment_has_siblings_too(deny: str, left: str, said: Said) -> None:
    paths = ("/f/{name}.json", "/f/index.json", "/f/other.txt", "/{g}/{name}.json", "/v1/{op}:cancel", "/v1/list")
    document = "openapi: 3.1.0\npaths:\n" + "".join(f"  '{path}': {{get: {{}}}}\n" for path in paths)
    rows = (OPEN, "p, a:read, shop:/**, GET, allow", f"p, env:test, {deny}, GET, deny")
    if not left:
        assert built(*rows, documents=document)
        return
    (fault,) = faults(*rows, documents=document)
    said([fault])
    assert fault.code == "narrow-deny"
    assert left in fault.message
    assert built(*rows, f"p, env:test, {left.removeprefix('GET ')}, GET, deny", documents=document)


def test_a_row_whose_parameter_only_literal_segments_could_fit_is_dead() -> None:
    table = RouteTable([Route("/x", "GET")])
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(files("p, a:read, /x, GET, allow", "p, a:read, /{x}, GET, deny"))), table)
    assert [(fault.code, "`/*`" in fault.hint) for fault in refused.value.faults] == [("dead-row", True)]

"""Upstreams: their OpenAPI documents become routes, which need rows as those of the application do."""

from __future__ import annotations

import json

import pytest

from app.policy.analysis.explain import explain
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import RouteTable
from tests.policy.conftest import Said
from tests.policy.shipped import PERSON, policy_of, routes, shipped_files, snapshot_of

ORDERS = """\
openapi: 3.1.0
info: {title: Orders, version: "1"}
servers: [{url: https://orders.example.com/v1/}]
paths:
  /orders:
    get: {}
    post: {}
  /orders/{order-id}/:
    summary: One order
    get: {}
    delete: {}
  /orders/export:
    get: {}
  /{kind}/{id}/notes:
    get: {}
  /:
    get: {}
"""
ROWS = """\
p, catalog:read, orders:/v1/**, GET, allow
p, catalog:write, orders:/v1/orders/**, POST|DELETE, allow
p, auth:jwt, orders:/v1/orders/export, GET, deny
p, env:test, orders:/v1/orders/{id}, DELETE, deny, params['order-id'] == '7'
# end
"""
HELD = PERSON | {"catalog:read", "catalog:write"}


def _snapshot(document: str = ORDERS, rows: str = ROWS, name: str = "orders.openapi.yaml") -> Snapshot:
    files = {**shipped_files(), f"upstreams/{name}": document.encode(), "orders.csv": rows.encode()}
    return snapshot_of(files)


def _refused(document: str, name: str = "orders.openapi.yaml", rows: str = "# end\n") -> tuple[Fault, ...]:
    with pytest.raises(PolicyRefused) as refused:
        _snapshot(document, rows, name)
    return tuple(fault for fault in refused.value.faults if fault.code != "unruled-route")


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1", "orders:/v1"),
        ("/v1/orders", "orders:/v1/orders"),
        ("/v1/orders/", "orders:/v1/orders"),
        ("/v1/orders/7", "orders:/v1/orders/{order-id}"),
        ("/v1/orders/export", "orders:/v1/orders/export"),
        # `/orders/{order-id}` leads nowhere here, so the reading that does is the only one.
        ("/v1/orders/7/notes", "orders:/v1/{kind}/{id}/notes"),
        ("/v1/orders/export/notes", "orders:/v1/{kind}/{id}/notes"),
        ("/v1/orders/7/8", None),
        ("/orders", None),
        ("/v1//orders", None),
        ("/v1/orders/..", None),
        ("/v1/orders;x", None),
    ],
)
def test_a_path_of_an_upstream_belongs_to_its_most_specific_template(path: str, template: str | None) -> None:
    table = _snapshot().table
    assert table.resolve(path, "orders") == template
    assert table.resolve(path) is None
    assert table.resolve(path, "order") is None


def test_rows_of_an_upstream_never_apply_to_the_application() -> None:
    snapshot = _snapshot()

    def allowed(action: str, resource: str, held: frozenset[str] = HELD) -> bool:
        return bool(explain(snapshot, held, action, resource).decision)

    assert allowed("GET", "orders:/v1/orders")
    assert allowed("GET", "orders:/v1/orders/7")
    assert allowed("DELETE", "orders:/v1/orders/7")
    assert not allowed("GET", "orders:/v1/orders/export")
    assert not allowed("GET", "orders:/v1/orders", PERSON)
    assert not snapshot.decide(HELD, "/v1/orders", "GET")
    assert not snapshot.decide(HELD, "orders:/v1/nothing", "GET")
    assert not snapshot.decide(HELD, "orders:/v1/orders", "PUT")


def test_a_condition_reads_the_parameters_of_an_upstream_path() -> None:
    snapshot = _snapshot()
    key = frozenset({"anyone", "auth:api_key", "env:test", "key:1", "catalog:write"})
    assert not explain(snapshot, key, "DELETE", "orders:/v1/orders/7").decision
    assert explain(snapshot, key, "DELETE", "orders:/v1/orders/8").decision


def test_an_upstream_endpoint_without_a_row_and_a_row_without_an_endpoint_are_faults() -> None:
    with pytest.raises(PolicyRefused) as refused:
        _snapshot(
            rows="p, catalog:read, orders:/v1/orders, GET, allow\np, catalog:read, order:/v1/**, GET, allow\n# end\n"
        )
    faults = {(fault.code, fault.line) for fault in refused.value.faults}
    assert ("dead-row", 2) in faults
    told = [fault.message for fault in refused.value.faults if fault.code == "unruled-route"]
    assert "no rule covers POST orders:/v1/orders" in told
    assert "no rule covers DELETE, GET orders:/v1/orders/{order-id}" in told
    assert len(told) == 5


def test_a_wildcard_of_the_application_matches_no_upstream() -> None:
    rows = "p, anyone, /**, OPTIONS, allow\n" + ROWS
    document = ORDERS.replace("    post: {}\n", "    post: {}\n    options: {}\n")
    assert "no rule covers OPTIONS orders:/v1/orders" in {f.message for f in _all_faults(document, rows)}


def _all_faults(document: str, rows: str) -> tuple[Fault, ...]:
    with pytest.raises(PolicyRefused) as refused:
        _snapshot(document, rows)
    return refused.value.faults


def test_json_on_one_line_without_a_line_break_is_accepted() -> None:
    document = json.dumps({"openapi": "3.0.3", "servers": [], "paths": {"/a/{b}": {"get": {"x": "é" * 5000}}}})
    snapshot = _snapshot(document, "p, anyone, svc-2:/a/{b}, GET, allow\n# end\n", "svc-2.openapi.json")
    assert snapshot.table.resolve("/a/1", "svc-2") == "svc-2:/a/{b}"
    assert snapshot.decide(PERSON, "svc-2:/a/{b}", "GET")


@pytest.mark.parametrize(
    ("document", "message", "line"),
    [
        ("", "the document is not a mapping", 0),
        ("- a\n", "the document is not a mapping", 0),
        ("swagger: '2.0'\npaths: {}\n", "this is a Swagger 2.0 document, not an OpenAPI 3 document", 1),
        ("openapi: 3.1.0\n", "the document has no `paths`", 0),
        ("openapi: 3.1.0\npaths: {}\n", "the document has no endpoints", 0),
        ("openapi: 3.1.0\npaths: [\n", "not YAML: did not find expected node content", 3),
        ("openapi: 3.1.0\npaths:\n  /a: {get: {}}\n  /a: {post: {}}\n", "`/a` is repeated in one mapping", 4),
        ("openapi: 3.1.0\npaths:\n  /a: {get: {}, get: {}}\n", "`get` is repeated in one mapping", 3),
        (
            "openapi: 3.1.0\nservers: [{url: 'https://a/{v}'}]\npaths:\n  /a: {get: {}}\n",
            "the server `https://a/{v}` does not determine the path of its endpoints",
            2,
        ),
        (
            "openapi: 3.1.0\nservers: [{url: v1}]\npaths:\n  /a: {get: {}}\n",
            "the server `v1` is relative to the address of the document, which is unknown here",
            2,
        ),
        ("openapi: 3.1.0\nservers:\n- url: https://a/?x=1\npaths: {}\n", "the server `https://a/?x=1` has a query", 3),
        (
            "openapi: 3.1.0\nservers: [{url: 'https://[a/'}]\npaths: {}\n",
            "the server `https://[a/` is not an address",
            2,
        ),
        ("openapi: 3.1.0\nservers: 7\npaths: {}\n", "`servers` must be a list", 2),
        ("openapi: 3.1.0\nservers: [{}]\npaths: {}\n", "a server must have a `url`", 2),
        ("openapi: 3.3.0\npaths: {/a: {get: {}}}\n", "OpenAPI 3.3.0 is not supported, only 3.0 to 3.2", 1),
        ("openapi: 3.1.0\npaths: {/a: *b}\n", "`*b` refers to no anchor before it", 2),
        ("openapi: 3.1.0\npaths: {/a: {<<: b}}\n", "`<<` merges something that is not a mapping", 2),
        ("openapi: 3.1.0\npaths: {/a: {? [b] : c}}\n", "a key must be a text", 2),
        ("openapi: 3.1.0\npaths: {}\n---\nopenapi: 3.1.0\n", "a second document starts here", 3),
    ],
)
def test_an_invalid_document_is_refused_at_its_line(document: str, message: str, line: int, said: Said) -> None:
    faults = _refused(document)
    said(faults)
    assert [fault.line for fault in faults] == [line], faults
    assert faults[0].message.startswith(message)
    assert faults[0].file == "upstreams/orders.openapi.yaml"
    text = document.split("\n")[line - 1] if line else ""
    assert faults[0].text == text
    assert (faults[0].column > 0) is (line > 0)
    assert text[max(faults[0].column - 1, 0) :] == text.strip()
    assert faults[0].length == max(len(text.strip()), 1)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"openapi": "3.1.0", "paths": {"/a": {"get": {}}, "/a": {}}}', "`/a` is repeated in one mapping"),
        ('{"openapi": "3.1.0", "paths": {"/a": {"get": {}}}', "not JSON: Expecting ',' delimiter"),
        ('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}", "the document is nested too deeply"),
        ('{"a": 1' + "0" * 10_000 + "}", "not JSON: Exceeds the limit"),
    ],
)
def test_broken_json_is_refused(document: str, message: str) -> None:
    (fault,) = _refused(document, "orders.openapi.json")
    assert fault.message.startswith(message)


@pytest.mark.parametrize("opening", ["[", "{a: "])
def test_a_deeply_nested_document_is_refused(opening: str) -> None:
    (fault,) = _refused(f"openapi: 3.1.0\nx-deep: {opening * 100_000}\n")
    assert fault.message == "the document is nested too deeply"


@pytest.mark.parametrize("name", ["Orders.openapi.yaml", "or_ders.openapi.yaml", "-o.openapi.yaml"])
def test_a_service_has_a_plain_name(name: str) -> None:
    fault = _refused(ORDERS, name)[0]
    assert (fault.line, fault.column) == (0, 0)
    assert fault.code == ("stray-file" if name[0] == "-" else "upstream-name")


def test_a_service_has_one_document() -> None:
    files = {
        **shipped_files(),
        "orders.csv": ROWS.encode(),
        "upstreams/orders.openapi.yaml": ORDERS.encode(),
        "upstreams/orders.openapi.json": b"{}",
    }
    with pytest.raises(PolicyRefused) as refused:
        snapshot_of(files)
    (twice,) = (fault for fault in refused.value.faults if fault.code == "upstream-twice")
    assert (twice.file, twice.line, twice.column) == ("upstreams/orders.openapi.yaml", 0, 0)
    assert twice.message == "`upstreams/orders.openapi.json` describes the service `orders` too"


@pytest.mark.parametrize(
    "document", [ORDERS, ORDERS.replace("  /:\n    get: {}\n", ""), ORDERS.replace("/orders/export", "/orders/import")]
)
@pytest.mark.parametrize("name", ["orders.openapi.yaml", "other.openapi.yaml"])
def test_documents_reused_from_the_previous_policy_equal_the_files(document: str, name: str) -> None:
    before = policy_of({**shipped_files(), "upstreams/orders.openapi.yaml": ORDERS.encode()})
    files = {**shipped_files(), f"upstreams/{name}": document.encode(), "upstreams/more.openapi.yaml": ORDERS.encode()}
    policy = parse(from_bytes(files), before)
    assert policy.services == policy_of(files).services
    own = routes()
    old, new = own.extended(before.upstreams), own.extended(policy.upstreams)
    assert old.routes == RouteTable([*own.routes, *before.upstreams]).routes
    assert new.routes == RouteTable([*own.routes, *policy.upstreams]).routes
    assert own.extended(policy_of(files).upstreams) is new


def test_two_documents_of_one_service_are_refused_even_if_one_is_cached() -> None:
    before = policy_of({**shipped_files(), "upstreams/orders.openapi.yaml": ORDERS.encode()})
    files = {**before.source.files, "upstreams/orders.openapi.json": json.dumps({"openapi": "3.1.0", "paths": {}})}
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes({name: text.encode() for name, text in files.items()}), before)
    assert [fault.code for fault in refused.value.faults] == ["upstream", "upstream-twice"]

"""The cost of documents is bounded, and their excluded paths are counted."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from app.policy.routing.routes import Route, RouteTable
from tests.policy.documents import document, endpoints, json_document, read, service


def test_a_server_with_too_many_addresses_or_paths_is_refused() -> None:
    values = ", ".join(f"v{number}" for number in range(60))
    variables = f"{{a: {{default: x, enum: [{values}]}}, b: {{default: x, enum: [{values}]}}}}"
    for url, message in (("https://a/{a}/{b}", "more than 1000 addresses"), ("https://a/{a}", "more than 50 paths")):
        head = f"openapi: 3.1.0\nservers: [{{url: '{url}', variables: {variables}}}]"
        _, faults = read(document("  /x: {get: {}}", head))
        assert message in faults[0].message


@pytest.mark.parametrize("alias", ["*a%d, *a%d", "*a%d"])
def test_aliases_do_not_expand_ajson_document(alias: str) -> None:
    lines = ["x-0: &a0 {get: {}, put: {}}"]
    for number in range(1, 60):
        names = alias.replace("%d", str(number - 1))
        lines.append(f"x-{number}: &a{number} {{<<: [{names}], k{number}: [{names}]}}")
    found = service("openapi: 3.1.0\n" + "\n".join(lines) + "\npaths: {/x: *a59, /y: {<<: *a59}}\n")
    assert endpoints(found) == {"GET /x", "PUT /x", "GET /y", "PUT /y"}


def test_merges_are_bounded() -> None:
    keys = ", ".join(f"k{number}: 1" for number in range(5000))
    lines = [f"x-{number}: &b{number} {{<<: *a}}" for number in range(60)]
    _, faults = read(f"openapi: 3.1.0\nx: &a {{{keys}}}\n" + "\n".join(lines) + "\npaths: {}\n")
    assert "merges copy more than" in faults[0].message


def test_servers_that_many_paths_repeat_are_bounded() -> None:
    values = ", ".join(f"'v{number}@'" for number in range(900))  # a value that could contain a path
    one = "servers: [{url: 'https://{a}eu.example/v1', variables: *v}]"
    lines = [f"  /x{number}: {{{one}, get: {{}}}}" for number in range(100)]
    shared = [f"  /y{number}: {{servers: *s, get: {{}}}}" for number in range(100)]
    head = f"openapi: 3.1.0\nx-v: &v {{a: {{default: v0, enum: [{values}]}}}}\nx-s: &s [{{url: /v2}}]"
    found = service(document("\n".join([*shared, *lines]), head))
    assert sum("/v2/y" in each for each in endpoints(found)) == 100
    assert sum("/v1/x" in each for each in endpoints(found)) == 22
    assert "the servers together have more than 20000 addresses" in found.findings[0].message


def _server(url: str, *values: str, name: str = "a") -> list[object]:
    return [{"url": url, "variables": {name: {"default": values[0], "enum": values[1:]}}}]


LONG_ADDRESSES = {
    "a url": _server("/" + "{a}" * 3000, "x"),
    "one without variables": _server("https://a.example/" + "v" * 5000, "x"),
    "a variable that is repeated": _server("/" + "{a}" * 1300, "x" * 100_000, "y" * 100_000),
    "a value of a path": _server("/{a}", "x", "y" * 5000),
    "a value of a host": _server("https://{a}/v1", "x" * 5000),
    "one that is repeated in a host": _server(
        "https://" + "{a}" * 1000 + "/v", "x" * 1000, *(f"{n}@" for n in range(300))
    ),
}


@pytest.mark.parametrize("name", LONG_ADDRESSES)
def test_a_server_with_a_long_address_is_refused_before_it_is_built(name: str) -> None:
    tracemalloc.start()
    try:
        _, faults = read(json_document({"/x": {"get": {}}}, LONG_ADDRESSES[name]), "upstreams/x.openapi.json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults[0].message.startswith("the server `")
    assert faults[0].message.endswith("has more than 4096 characters")
    assert "write a shorter address" in faults[0].hint
    assert peak < 4_000_000, "bytes"


def test_the_longest_address_is_accepted() -> None:
    found = service(json_document({"/x": {"get": {}}}, _server("/{a}", "a" * 4000)), "upstreams/x.openapi.json")
    assert endpoints(found) == {f"GET /{'a' * 4000}/x"}


@pytest.mark.parametrize(
    ("url", "paths"),
    [
        ("https://{a}.example/v1", {"/v1/x"}),
        ("//{a}:{a}/v1/", {"/v1/x"}),
        ("HTTPS://u@{a}", {"/x"}),
        ("https://{a}.example/{a}", {f"/h{number}/x" for number in range(40)}),
    ],
)
def test_hosts_of_a_server_cost_nothing_unless_they_are_in_its_path(url: str, paths: set[str]) -> None:
    values = [f"h{number}" for number in range(40 if url.endswith("/{a}") else 5000)]
    found = service(json_document({"/x": {"get": {}}}, _server(url, *values)), "upstreams/x.openapi.json")
    assert endpoints(found) == {f"GET {path}" for path in paths}


def test_a_host_variable_may_contain_a_path() -> None:
    values = ["a.example", "b.example/v2", "c.example", "/v3"]
    found = service(json_document({"/x": {"get": {}}}, _server("https://{a}/v1", *values)), "upstreams/x.openapi.json")
    assert endpoints(found) == {"GET /v1/x", "GET /v2/v1/x", "GET /v3/v1/x"}
    _, faults = read(
        json_document({"/x": {"get": {}}}, _server("https://{a}/v1", "a", "b?c")), "upstreams/x.openapi.json"
    )
    assert "has a query or a fragment" in faults[0].message


def test_a_path_that_no_gateway_accepts_is_denied_at_low_cost() -> None:
    paths: dict[str, dict[str, dict[str, str]]] = {
        f"/{'{' * 100_000}": {"get": {}},
        "/ok": {"get": {}},
        f"/{'a/' * 3000}": {"get": {}},
    }
    found = service(json.dumps({"openapi": "3.1.0", "paths": paths}), "upstreams/x.openapi.json")
    assert endpoints(found) == {"GET /ok"}
    assert [fault.code for fault in found.findings] == ["unroutable-path"] * 2


def test_findings_of_a_document_are_bounded_and_counted() -> None:
    found = service(document("\n".join(f"  /x{number}?a=b: {{get: {{}}}}" for number in range(150))))
    assert len(found.findings) == 101
    assert found.findings[-1].message == "50 more paths or methods of this document are denied"
    assert (found.findings[-1].code, found.findings[-1].place) == ("unroutable-path", "upstreams/x.openapi.yaml")
    assert len(found.closed) == 150


def test_a_closed_template_is_in_no_table_of_routes() -> None:
    routes = RouteTable([Route("x:/a", "GET")]).extended([Route("x:/{b}", "GET")], ["x:/c", "x:/d/**"])
    assert routes.match("x:/**") == ("x:/a", "x:/{b}")
    assert [routes.resolve(path, "x") for path in ("/a", "/c", "/c/", "/d", "/d/1/2", "/e")] == [
        "x:/a", None, None, "x:/{b}", None, "x:/{b}",
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["", " ", "\n\n", "\n ["])
@pytest.mark.parametrize("ending", ["json", "yaml"])
def test_an_empty_document_is_refused_at_a_place(text: str, ending: str) -> None:
    _, faults = read(text, f"upstreams/x.openapi.{ending}")
    assert [(fault.code, fault.line > 0) for fault in faults] == [("upstream", fault.column > 0) for fault in faults]
    assert len(faults) == 1


HALF = json.loads('"\\ud800"')


@pytest.mark.parametrize(
    "written",
    [
        json_document({f"/{HALF}": {"get": {}}}),
        json_document({f"/{{{HALF}}}": {"get": {}}}),
        json_document({"/x": {"get": {}}}, [{"url": f"/{HALF}"}]),
        json_document({"/x": {"get": {}}}, _server("/{a}", HALF)),
        json_document({"/x": {"get": {}}}, _server("/{a}", "a", name=HALF)),
        json_document({"/x": {"get": {"servers": [{"url": f"/{HALF}"}]}}}),
        json_document({"/x": {"$ref": f"#/components/pathItems/{HALF}"}}),
        json_document({"/x": {"additionalOperations": {HALF: {}}}}, version="3.2.0"),
        json_document({"/x": {"get": {}}}, version=f"3.1.{HALF}"),
    ],
)
def test_a_lone_surrogate_in_a_used_part_is_refused_at_its_place(written: str) -> None:
    _, faults = read(f"\n{written}", "upstreams/x.openapi.json")
    assert [(fault.code, fault.line) for fault in faults] == [("upstream", 2)]
    assert "half of a surrogate pair" in faults[0].message.lower()


def test_a_lone_surrogate_in_an_unused_part_is_ignored() -> None:
    described = {"get": {"summary": HALF, "parameters": [{HALF: HALF}]}}
    found = service(json_document({"/x": described}, info={"title": HALF, HALF: {}}), "upstreams/x.openapi.json")
    assert endpoints(found) == {"GET /x"}

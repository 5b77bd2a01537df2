"""What a document can cost is bounded, and what is denied of it is counted."""

from __future__ import annotations

import json

import pytest

from app.policy.routes import Route, RouteTable
from tests.policy.documents import document, endpoints, read, service


def test_a_server_with_too_many_addresses_or_paths_is_refused() -> None:
    values = ", ".join(f"v{number}" for number in range(60))
    variables = f"{{a: {{default: x, enum: [{values}]}}, b: {{default: x, enum: [{values}]}}}}"
    for url, message in (("https://a/{a}/{b}", "more than 1000 addresses"), ("https://a/{a}", "more than 50 paths")):
        head = f"openapi: 3.1.0\nservers: [{{url: '{url}', variables: {variables}}}]"
        _, faults = read(document("  /x: {get: {}}", head))
        assert message in faults[0].message


@pytest.mark.parametrize("alias", ["*a%d, *a%d", "*a%d"])
def test_aliases_make_no_document_grow(alias: str) -> None:
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


def test_a_table_that_nothing_tells_apart_is_refused_in_time() -> None:
    paths = [f"  /{{a}}/x{number}: {{get: {{}}}}\n  /b{number}/{{y}}: {{get: {{}}}}" for number in range(3000)]
    found, faults = read(document("\n".join(paths)))
    assert not found.routes
    assert faults
    assert "so many paths can match one request" in faults[0].message


def test_servers_that_many_paths_repeat_are_bounded() -> None:
    values = ", ".join(f"v{number}" for number in range(900))
    one = "servers: [{url: 'https://{a}.example/v1', variables: *v}]"
    lines = [f"  /x{number}: {{{one}, get: {{}}}}" for number in range(100)]
    shared = [f"  /y{number}: {{servers: *s, get: {{}}}}" for number in range(100)]
    head = f"openapi: 3.1.0\nx-v: &v {{a: {{default: v0, enum: [{values}]}}}}\nx-s: &s [{{url: /v2}}]"
    found = service(document("\n".join([*shared, *lines]), head))
    assert sum("/v2/y" in each for each in endpoints(found)) == 100
    assert sum("/v1/x" in each for each in endpoints(found)) == 22
    assert "more than 20000 addresses together" in found.findings[0].message


def test_a_path_that_no_gateway_takes_is_denied_and_costs_little() -> None:
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
    assert len(found.closed) == 150


def test_a_closed_template_is_in_no_table_of_routes() -> None:
    routes = RouteTable([Route("x:/a", "GET")]).extended([Route("x:/{b}", "GET")], ["x:/c", "x:/d/**"])
    assert routes.match("x:/**") == ("x:/a", "x:/{b}")
    assert [routes.resolve(path, "x") for path in ("/a", "/c", "/c/", "/d", "/d/1/2", "/e")] == [
        "x:/a", None, None, "x:/{b}", None, "x:/{b}",
    ]  # fmt: skip

"""The cost of documents is bounded, and their excluded paths are counted."""

from __future__ import annotations

import json
import tracemalloc

import pytest

from app.policy.language.fault import Fault
from app.policy.language.openapi.ambiguity import ambiguities
from app.policy.language.openapi.budget import MAX_STEPS, MAX_STEPS_TOGETHER, DocumentBudget
from app.policy.language.source import PolicySource
from app.policy.language.upstreams import load
from app.policy.routing.routes import Route, RouteTable
from tests.policy.documents import document, endpoints, read, service


def test_a_server_with_too_many_addresses_or_paths_is_refused() -> None:
    values = ", ".join(f"v{number}" for number in range(60))
    variables = f"{{a: {{default: x, enum: [{values}]}}, b: {{default: x, enum: [{values}]}}}}"
    for url, message in (("https://a/{a}/{b}", "more than 1000 addresses"), ("https://a/{a}", "more than 50 paths")):
        head = f"openapi: 3.1.0\nservers: [{{url: '{url}', variables: {variables}}}]"
        _, faults = read(document("  /x: {get: {}}", head))
        assert message in faults[0].message


@pytest.mark.parametrize("alias", ["*a%d, *a%d", "*a%d"])
def test_aliases_do_not_expand_a_document(alias: str) -> None:
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


def test_an_ambiguous_table_is_refused_in_time() -> None:
    paths = [f"  /{{a}}/x{number}: {{get: {{}}}}\n  /b{number}/{{y}}: {{get: {{}}}}" for number in range(3000)]
    found, faults = read(document("\n".join(paths)))
    assert not found.routes
    assert faults
    assert "too many paths can match the same request" in faults[0].message


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


def _document(paths: object, servers: object = None, version: str = "3.1.0", **more: object) -> str:
    head = {} if servers is None else {"servers": servers}
    return json.dumps({"openapi": version, **head, "paths": paths, **more})


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
        _, faults = read(_document({"/x": {"get": {}}}, LONG_ADDRESSES[name]), "upstreams/x.openapi.json")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert faults[0].message.startswith("the server `")
    assert faults[0].message.endswith("has more than 4096 characters")
    assert "write a shorter address" in faults[0].hint
    assert peak < 4_000_000, "bytes"


def test_the_longest_address_is_accepted() -> None:
    found = service(_document({"/x": {"get": {}}}, _server("/{a}", "a" * 4000)), "upstreams/x.openapi.json")
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
    found = service(_document({"/x": {"get": {}}}, _server(url, *values)), "upstreams/x.openapi.json")
    assert endpoints(found) == {f"GET {path}" for path in paths}


def test_a_host_variable_may_contain_a_path() -> None:
    values = ["a.example", "b.example/v2", "c.example", "/v3"]
    found = service(_document({"/x": {"get": {}}}, _server("https://{a}/v1", *values)), "upstreams/x.openapi.json")
    assert endpoints(found) == {"GET /v1/x", "GET /v2/v1/x", "GET /v3/v1/x"}
    _, faults = read(_document({"/x": {"get": {}}}, _server("https://{a}/v1", "a", "b?c")), "upstreams/x.openapi.json")
    assert "has a query or a fragment" in faults[0].message


_MANY = [{"url": f"/b{number}"} for number in range(50)]
COSTLY = {
    "paths at many servers under one template": (
        _document({f"/*a{number}": {"get": {}} for number in range(40_000)}, _MANY),
        "too many paths at too many servers",
    ),
    "long paths at many servers": (
        _document({"/" + "/".join(f"{{p{n}_{at}}}" for at in range(55)): {"get": {}} for n in range(500)}, _MANY),
        "too many paths at too many servers",
    ),
    "paths of text and parameters in every order": (
        _document(
            {"/" + "/".join(f"{{p{at}}}" if n >> at & 1 else "t" for at in range(11)): {"get": {}} for n in range(2047)}
        ),
        "too many paths can match the same request",
    ),
    "parameters with text in one segment": (
        _document({f"/{{a}}-x{number}-{{b}}": {"get": {}} for number in range(1500)}),
        "too many paths can match the same request",
    ),
    "parameters with texts around": (
        _document({f"/{{a}}x{number}": {"get": {}} for number in range(1800)}),
        "too many paths can match the same request",
    ),
    "names of one parameter beside texts": (
        _document({f"/{each}": {"get": {}} for n in range(1200) for each in (f"{{p{n}}}", f"t{n}")}),
        "too many paths can match the same request",
    ),
    "methods that many paths share": (
        _document(
            {f"/a{number}": {"$ref": "#/components/pathItems/x"} for number in range(5000)},
            version="3.2.0",
            components={"pathItems": {"x": {"additionalOperations": {f"M{number}": {} for number in range(5000)}}}},
        ),
        "references lead to too much",
    ),
    "long references that many paths share": (
        _document(
            {f"/a{number}": {"$ref": "#/components/pathItems/x"} for number in range(5000)},
            components={"pathItems": {"x": {"get": {"$ref": "#/" + "a/" * 100_000}}}},
        ),
        "references lead to too much",
    ),
    "values of servers that are read again and again": (
        "openapi: 3.1.0\nx-v: &v {a: {default: a, enum: ["
        + ", ".join(f"v{number}" for number in range(20_000))
        + "]}}\nx-s: &s [{url: 'https://h/{a}', variables: *v}]\npaths:\n"
        + "\n".join(f"  /a{number}: {{servers: *s, get: {{}}}}" for number in range(3000)),
        "servers have too many addresses",
    ),
}


@pytest.mark.parametrize("name", COSTLY)
def test_all_the_work_of_a_document_is_bounded(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each kind of work is counted. Up to the real limit that takes seconds; other tests reach it."""
    limit = MAX_STEPS // 4
    monkeypatch.setattr("app.policy.language.openapi.budget.MAX_STEPS", limit)
    text, message = COSTLY[name]
    found, faults = read(text, f"upstreams/x.openapi.{'json' if text.startswith('{') else 'yaml'}")
    assert not found.routes
    assert [fault.code for fault in faults] == ["upstream"]
    assert message in faults[0].message
    assert f"takes more than {limit} steps" in faults[0].message
    assert faults[0].hint


def _long_paths(count: int) -> str:
    """A document with many cheap steps."""
    return _document({f"/{'a' * 3900}{{{number}": {"get": {}} for number in range(count)}, _MANY)


def test_the_work_of_all_documents_of_a_policy_is_bounded() -> None:
    costly = _long_paths(60)
    files = {f"upstreams/s{number}.openapi.json": costly for number in range(9)}
    one: list[Fault] = []
    known = load(PolicySource(dict(list(files.items())[:1]), "before"), one, {}, ())
    assert not one
    assert MAX_STEPS_TOGETHER / 9 < known[0].steps < MAX_STEPS_TOGETHER / 4
    for before, taken in ((files, known), ({}, ())):  # cached documents count as if they were read
        faults: list[Fault] = []
        found = load(PolicySource(files, "now"), faults, before, taken)
        assert found[0] == known[0]
        assert {fault.code for fault in faults} == {"upstream"}
        assert [fault.file for fault in faults] == list(files)[-len(faults) :]
        assert f"the documents of the policy together take more than {MAX_STEPS_TOGETHER} steps" in faults[0].message
        assert 1 <= len(faults) <= 5


def test_documents_that_are_refused_count_too() -> None:
    costly = _long_paths(100)
    files = {f"upstreams/s{number}.openapi.json": costly for number in range(8)}
    faults: list[Fault] = []
    load(PolicySource(files, "now"), faults, {}, ())
    together = [f"the policy together take more than {MAX_STEPS_TOGETHER} steps" in fault.message for fault in faults]
    assert together == [number >= MAX_STEPS_TOGETHER // MAX_STEPS for number in range(8)]


def test_large_documents_are_well_within_the_budget() -> None:
    large: dict[str, object] = {
        f"/repos/{{owner}}/{{repo}}/n{n % 100}/{{id}}/m{n}": {"get": {}, "put": {}} for n in range(3000)
    }
    spent = DocumentBudget()
    methods = {template: frozenset({"GET"}) for template in large}
    assert not list(ambiguities(methods, (), spent))
    assert spent.spent < MAX_STEPS / 10
    assert len(service(_document(large), "upstreams/x.openapi.json").routes) == 6000
    odata: dict[str, object] = {f"/Set{number}({{key}})/x{at}": {"get": {}} for number in range(300) for at in range(4)}
    assert len(service(_document(odata), "upstreams/x.openapi.json").routes) == 1200
    spread = dict(list(large.items())[:1000])
    assert len(service(_document(spread, _MANY[:10]), "upstreams/x.openapi.json").routes) == 20_000


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
        _document({f"/{HALF}": {"get": {}}}),
        _document({f"/{{{HALF}}}": {"get": {}}}),
        _document({"/x": {"get": {}}}, [{"url": f"/{HALF}"}]),
        _document({"/x": {"get": {}}}, _server("/{a}", HALF)),
        _document({"/x": {"get": {}}}, _server("/{a}", "a", name=HALF)),
        _document({"/x": {"get": {"servers": [{"url": f"/{HALF}"}]}}}),
        _document({"/x": {"$ref": f"#/components/pathItems/{HALF}"}}),
        _document({"/x": {"additionalOperations": {HALF: {}}}}, version="3.2.0"),
        _document({"/x": {"get": {}}}, version=f"3.1.{HALF}"),
    ],
)
def test_a_lone_surrogate_in_a_used_part_is_refused_at_its_place(written: str) -> None:
    _, faults = read(f"\n{written}", "upstreams/x.openapi.json")
    assert [(fault.code, fault.line) for fault in faults] == [("upstream", 2)]
    assert "half of a surrogate pair" in faults[0].message.lower()


def test_a_lone_surrogate_in_an_unused_part_is_ignored() -> None:
    described = {"get": {"summary": HALF, "parameters": [{HALF: HALF}]}}
    found = service(_document({"/x": described}, info={"title": HALF, HALF: {}}), "upstreams/x.openapi.json")
    assert endpoints(found) == {"GET /x"}

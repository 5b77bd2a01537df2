"""Endpoints of OpenAPI documents: their paths, and refusal of ambiguous ones."""

from __future__ import annotations

import json

import pytest
import yaml

from app.gateway.resource_reference import resolve_target
from app.policy.analysis.findings import find
from app.policy.engine.target import NoSuchTarget, find_target, params_of
from tests.policy.conftest import Said
from tests.policy.documents import document, endpoints, service, table
from tests.policy.shipped import PERSON, shipped_files, snapshot_of

OK = "{responses: {'200': {description: ok}}}"

TAKEN: dict[str, tuple[str, set[str]]] = {
    "a variable by its default": (
        "openapi: 3.0.3\nservers:\n"
        "  - {url: 'https://a.example/{base}', variables: {base: {default: v2}}}\n"
        "paths:\n  /pets: {get: {}}\n",
        {"GET /v2/pets"},
    ),
    "a variable by each value": (
        "openapi: 3.0.3\nservers:\n"
        "  - {url: 'https://a.example/{base}/x', variables: {base: {default: v2, enum: [v1, v2]}}}\n"
        "paths:\n  /pets: {get: {}}\n",
        {"GET /v1/x/pets", "GET /v2/x/pets"},
    ),
    "variables in the host, with and without a value": (
        "openapi: 3.0.3\nservers:\n"
        "  - {url: '{scheme}://{host}:{port}/api/v3', variables: {scheme: {default: http}, port: {default: 8443}}}\n"
        "paths:\n  /repos/{owner}/{repo}: {get: {}}\n",
        {"GET /api/v3/repos/{owner}/{repo}"},
    ),
    "a variable for the whole address": (
        "openapi: 3.0.3\nservers: [{url: '{server}/v1', variables: {server: {default: 'https://a.example/b'}}}]\n"
        "paths: {/pets: {get: {}}}\n",
        {"GET /b/v1/pets"},
    ),
    "several servers": (
        "openapi: 3.0.3\nservers: [{url: https://a.example/v1}, {url: https://b.example/sandbox/v1/}, {url: /v1}]\n"
        "paths: {/pets: {get: {}}}\n",
        {"GET /v1/pets", "GET /sandbox/v1/pets"},
    ),
    "no servers": ("openapi: 3.0.3\nservers: []\npaths: {/pets: {get: {}}}\n", {"GET /pets"}),
    "servers of a path and of an operation": (
        "openapi: 3.0.3\nservers: [{url: https://a.example/v1}]\npaths:\n"
        "  /files: {servers: [{url: https://files.example/f}], post: {}, get: {servers: [{url: /g}, {url: /h}]}}\n"
        "  /op: {get: {servers: [{url: https://b.example/v9}]}, put: {}}\n",
        {"POST /f/files", "GET /g/files", "GET /h/files", "GET /v9/op", "PUT /v1/op"},
    ),
    "parameters as a part of a segment": (
        document(
            "  /Products({id}): {get: {}}\n  /Products(key={id}): {get: {}}\n  /v1/{name}:cancel: {post: {}}\n"
            "  /users/{id}/graph.getSchedule(): {get: {}}\n  /report.{format}: {get: {}}\n"
            "  /compare/{base}...{head}: {get: {}}\n  /x/{a}-{b}: {get: {}}\n  /y/{id}.json: {get: {}}\n"
            "  '/Set(a={x},b={y})': {get: {}}\n"
        ),
        {
            "GET /Products({id})",
            "POST /v1/{name}:cancel",
            "GET /users/{id}/graph.getSchedule()",
            "GET /report.{format}",
            "GET /compare/{base}...{head}",
            "GET /x/{a}-{b}",
            "GET /y/{id}.json",
            "GET /Set(a={x}%2Cb={y})",
        },
    ),
    "names of parameters": (
        document("  /a/{user-id}: {get: {}}\n  /b/{user.id}: {get: {}}\n  /i/{1id}: {get: {}}"),
        {"GET /a/{user-id}", "GET /b/{user.id}", "GET /i/{1id}"},
    ),
    "characters that are encoded": (
        document("  /with space: {get: {}}\n  /ünicode: {get: {}}\n  '/[id]': {get: {}}\n  /a%7Eb%c3%bc: {get: {}}"),
        {"GET /with%20space", "GET /%C3%BCnicode", "GET /%5Bid%5D", "GET /a~b%C3%BC"},
    ),
    "last slashes": (
        document("  /pets/: {post: {}}\n  /pets: {get: {}}\n  /: {get: {}}"),
        {"POST /pets", "GET /pets", "GET /"},
    ),
    "merges": (
        document(
            f"  /a: &a {{get: {OK}, post: {{}}}}\n  /b: {{<<: *a, delete: {{}}}}\n  /c: *a\n"
            "  /d: {get: {<<: *common, responses: {}}}\n  /e: {<<: [*p, *a], put: {servers: []}}\n",
            "openapi: 3.0.3\nx-common: &common {tags: [x]}\nx-p: [{deep: &p {put: {}, servers: [{url: /s}]}}]",
        ),
        {"GET /a", "POST /a", "GET /b", "POST /b", "DELETE /b", "GET /c", "POST /c", "GET /d", "GET /s/e", "POST /s/e"},
    ),
    "dates, status codes and other keys": (
        document("  /x:\n    get: {responses: {200: {description: 2024-01-01}}}\n    200: {}\n    summary: no\n"),
        {"GET /x"},
    ),
    "trace": (document("  /x: {trace: {}}"), {"TRACE /x"}),
    "methods of 3.2": (
        document("  /x: {query: {}, additionalOperations: {COPY: {}, PATCH: {}}}", "openapi: 3.2.0"),
        {"QUERY /x", "PATCH /x"},
    ),
    "CRLF": (document("  /x: {get: {}}\n  /y: {put: {}}").replace("\n", "\r\n"), {"GET /x", "PUT /y"}),
    "a byte order mark": ("\ufeff" + document("  /x: {get: {}}"), {"GET /x"}),
    "references within the document": (
        document(
            "  /a: {$ref: '#/components/pathItems/a'}\n  /b: {$ref: '#/paths/~1c~1%7Bid%7D'}\n  /c/{id}: {put: {}}\n",
            "openapi: 3.1.0\ncomponents: {schemas: {get: {}}, pathItems: {a: {get: {}}}}",
        ),
        {"GET /a", "PUT /b", "PUT /c/{id}"},
    ),
}


@pytest.mark.parametrize("name", TAKEN)
def test_endpoints_have_the_paths_of_their_servers(name: str) -> None:
    text, expected = TAKEN[name]
    assert {each for each in endpoints(service(text)) if "/Products(key" not in each} == expected


@pytest.mark.parametrize("name", ["several servers", "merges", "methods of 3.2", "references within the document"])
def test_json_and_yaml_are_read_equally(name: str) -> None:
    text, expected = TAKEN[name]
    as_json = "\ufeff" + json.dumps(yaml.safe_load(text), indent=1)
    assert endpoints(service(as_json, "upstreams/x.openapi.json")) == expected


# Paths; accepted endpoints; requests without a template; line, code and a word of each finding.
DENIED: dict[str, tuple[str, set[str], tuple[str, ...], set[tuple[int, str, str]]]] = {
    "names alone differ": (
        "  /t/{a}: {get: {}}\n  /t/{b}: {patch: {}}\n  /t/new: {get: {}}\n  /{x}/{y}: {get: {}, patch: {}}",
        {"GET /t/new", "GET /{x}/{y}", "PATCH /{x}/{y}"},
        ("/t/7", "/t/7/"),
        {(3, "ambiguous-path", "/t/{b}"), (4, "ambiguous-path", "/t/{a}")},
    ),
    "what could be one segment before what could be several": (
        "  '/v1/{a b}/{rest+}/x': {get: {}}\n  /{v}/{a}/{b}/{c}/{d}: {get: {}}\n  /v1: {get: {}}",
        {"GET /v1", "GET /{v}/{a}/{b}/{c}/{d}"},
        ("/v1/a/b/x", "/v1/a/b/c/x", "/v1/a/b/c/d/x"),
        {(3, "unroutable-path", "valid parameter name")},
    ),
    "each has text that the other has not": (
        "  /{entity}/me: {get: {}}\n  /books/{id}: {get: {}}\n  /{x}/{y}: {get: {}}\n  /books/all: {get: {}}",
        {"GET /{x}/{y}", "GET /books/all"},
        ("/books/me", "/books/7", "/films/me"),
        {(3, "ambiguous-path", "/books/{id}"), (4, "ambiguous-path", "/{entity}/me")},
    ),
    "a third takes what both match": (
        "  /{entity}/me: {get: {}}\n  /books/{id}: {get: {}}\n  /books/me: {get: {}}",
        {"GET /{entity}/me", "GET /books/{id}", "GET /books/me"},
        (),
        set(),
    ),
    "a part of a segment within a parameter": (
        "  /v1/{name}: {get: {}, post: {}}\n  /v1/{name}:cancel: {post: {}, put: {}}\n  /v1/{n}:stop: {get: {}}",
        {"GET /v1/{name}", "POST /v1/{name}", "PUT /v1/{name}:cancel"},
        ("/v1/x:stop",),
        {(4, "ambiguous-path", "POST is denied"), (5, "ambiguous-path", "GET is denied")},
    ),
    "a HEAD goes with its GET": (
        "  /v1/{name}: {head: {}}\n  /v1/{name}.json: {get: {}, put: {}}",
        {"HEAD /v1/{name}", "PUT /v1/{name}.json"},
        (),
        {(4, "ambiguous-path", "GET is denied")},
    ),
    "parts that overlap": (
        "  /report.{format}: {get: {}}\n  /{name}.json: {put: {}}\n  /{x}: {get: {}}\n  /report.json: {get: {}}",
        {"GET /{x}", "GET /report.json"},
        ("/report.csv", "/a.json"),
        {(3, "ambiguous-path", "/{name}.json"), (4, "ambiguous-path", "/report.{format}")},
    ),
    "what may reach over segments": (
        "  /c/{p:path}: {get: {}}\n  /d/{p+}: {get: {}}\n  /e/{p*}: {get: {}}\n  /{x}/{y}/{z}: {get: {}}\n"
        "  /c/list: {get: {}}\n  /f/*: {get: {}}\n  /{x}/{y}: {put: {}}",
        {"GET /{x}/{y}/{z}", "GET /c/list", "PUT /{x}/{y}"},
        ("/c/7", "/c/7/8", "/c/7/8/9", "/d/7", "/e/7/8", "/f/7"),
        {
            (3, "unroutable-path", "{p:path}"),
            (4, "unroutable-path", "{p+}"),
            (5, "unroutable-path", "{p*}"),
            (8, "unroutable-path", "`*`"),
        },
    ),
    "parameters without a name that rules can have": (
        "  /f/{}: {get: {}}\n  '/g/{ID (required)}': {get: {}}\n  /h/{a}{b}: {get: {}}\n  /i/{x}/{x}: {get: {}}\n"
        "  /{x}/{y}: {get: {}}\n  /{x}/{y}/{z}: {get: {}}",
        {"GET /{x}/{y}", "GET /{x}/{y}/{z}"},
        ("/f/7", "/g/7", "/h/ab", "/i/1/2"),
        {
            (3, "unroutable-path", "`{}`"),
            (4, "unroutable-path", "ID"),
            (5, "unroutable-path", "ambiguous"),
            (6, "unroutable-path", "the same name"),
        },
    ),
    "braces that do not fit": (
        "  '/a/{b': {get: {}}\n  '/{x}/{y}': {get: {}}",
        {"GET /{x}/{y}"},
        ("/a/7",),
        {(3, "unroutable-path", "braces")},
    ),
    "a query or a fragment": (
        "  /?Action=List: {get: {}}\n  '/foo#bar': {get: {}}\n  /{x}: {get: {}}\n  /bar: {get: {}}\n"
        "  /bar?x={y}: {get: {}}",
        {"GET /{x}"},
        ("/", "/foo", "/bar"),
        {
            (3, "unroutable-path", "a query"),
            (4, "unroutable-path", "a fragment"),
            (6, "ambiguous-path", "/bar?x={y}"),
            (7, "unroutable-path", "a query"),
        },
    ),
    "what no request can have": (
        "  /a//b: {get: {}}\n  /a;b: {get: {}}\n  /a/../b: {get: {}}\n  /a%2Fb: {get: {}}\n  /a%zz: {get: {}}\n"
        "  /ok: {get: {}}",
        {"GET /ok"},
        (),
        {(line, "unroutable-path", "") for line in (3, 4, 5, 6, 7)},
    ),
    "a parameter as other notations write it": (
        "  /h/:id: {get: {}}\n  /{x}/{y}: {get: {}}",
        {"GET /h/:id", "GET /{x}/{y}"},
        ("/h/7",),
        set(),
    ),
    "a path that is none": (
        "  a: {get: {}}\n  /b: get\n  /c: {get: {}}\n  x-d: {get: {}}\n  /{x}: {get: {}}",
        {"GET /c", "GET /{x}"},
        ("/a", "/b"),
        {(3, "unroutable-path", "start"), (4, "unread-path", "mapping")},
    ),
    "references that are not followed": (
        "  /a: {$ref: 'https://a.example/x.yaml'}\n  /b: {$ref: '../x.yaml'}\n  /c: {$ref: /etc/passwd}\n"
        "  /d: {$ref: '#/paths/~1d'}\n  /e: {$ref: './%2e%2e/x.csv'}\n  /f: {$ref: '#/info'}\n  /g: {$ref: [a]}\n"
        "  /h: {$ref: '#/paths/~1ok', get: {}}\n  /i: {get: {$ref: './no.yaml'}, put: {}}\n  /ok: {get: {}}\n"
        "  /{x}: {get: {}}",
        {"GET /ok", "GET /{x}", "PUT /i"},
        ("/a", "/b", "/c", "/d", "/e", "/f", "/g", "/h"),
        {*((line, "unread-path", "") for line in range(3, 11)), (11, "unread-method", "GET is denied")},
    ),
    "servers that say nothing": (
        "  /a: {servers: [], get: {}}\n  /b: {get: {servers: [{url: 'https://a/{x}'}]}, put: {}}\n  /{x}: {get: {}}",
        {"PUT /b", "GET /{x}"},
        ("/a",),
        {(3, "unread-path", "empty"), (4, "unread-method", "GET is denied: the server")},
    ),
    "methods that rules cannot name": (
        "  /a: {GET: {}, connect: {}, query: {}}\n  /b: {get: {}, additionalOperations: {COPY: {}}}\n"
        "  /{x}: {get: {}}\n  /c: {}",
        {"GET /b", "GET /{x}"},
        ("/a", "/c"),
        {
            (3, "unread-method", "`GET`"),
            (3, "unread-method", "`connect`"),
            (3, "unread-method", "3.2"),
            (4, "unread-method", "3.2"),
        },
    ),
}


@pytest.mark.parametrize("name", DENIED)
def test_ambiguous_endpoints_are_denied_with_a_finding(name: str, said: Said) -> None:
    paths, taken, denied, findings = DENIED[name]
    found = service(document(paths))
    assert endpoints(found) == taken
    said(found.findings)
    for fault in found.findings:
        assert fault.text[fault.column - 1 :][: fault.length] == fault.text.strip()
    routes = table(found)
    for path in denied:
        assert routes.resolve(path, "x") is None, path
        assert routes.is_closed(path, "x"), path
    told = {(fault.line, fault.code): fault for fault in found.findings}
    assert {(line, code) for line, code, _ in findings} == told.keys()
    for line, code, word in findings:
        assert any(word in str(fault) for fault in found.findings if (fault.line, fault.code) == (line, code)), told
    assert all(fault.hint and fault.text and fault.file == "upstreams/x.openapi.yaml" for fault in found.findings)


@pytest.mark.parametrize(
    ("path", "template", "params"),
    [
        ("/v1/a:cancel", "/v1/{name}:cancel", {"name": "a"}),
        ("/v1/a:b:cancel", "/v1/{name}:cancel", {"name": "a:b"}),
        ("/v1/a%3Acancel", None, {}),
        ("/v1/:cancel", "/v1/{name}", {"name": ":cancel"}),
        ("/v1/a%40b:cancel", "/v1/{name}:cancel", {"name": "a%40b"}),
        ("/Set(a=1,b=2)", "/Set(a={x}%2Cb={y})", {"x": "1", "y": "2"}),
        ("/Set(a=1%2Cb=2)", "/Set(a={x}%2Cb={y})", {"x": "1", "y": "2"}),
        ("/Set(a=1,b=2,b=3)", None, {}),
        ("/compare/v1...v2", "/compare/{base}...{head}", {"base": "v1", "head": "v2"}),
        ("/compare/v1....v2", None, {}),
        ("/compare/...v2", "/compare/{name}", {"name": "...v2"}),
        ("/Products(7)", "/Products({id})", {"id": "7"}),
        ("/Products()", None, {}),
        ("/products(7)", None, {}),
    ],
)
def test_an_unambiguous_path_has_its_template_and_values(
    path: str, template: str | None, params: dict[str, str]
) -> None:
    found = service(
        document(
            "  /v1/{name}: {get: {}}\n  /v1/{name}:cancel: {post: {}}\n  '/Set(a={x},b={y})': {get: {}}\n"
            "  /compare/{base}...{head}: {get: {}}\n  /compare/{name}: {put: {}}\n  /Products({id}): {get: {}}\n"
        )
    )
    assert table(found).resolve(path, "x") == (template and f"x:{template}")
    if template:
        assert params_of(f"x:{template}", f"x:{path}") == params


def test_rows_name_a_template_with_parts_and_a_parameter_opens_none_of_them() -> None:
    paths = (
        "  /v1/{name}: {get: {}}\n  /v1/{name}:cancel: {post: {}}\n  '/Set(a={x},b={y})': {get: {}}\n"
        "  /with space: {get: {}}"
    )
    rows = (
        "p, anyone, x:/v1/{id}, GET, allow\n"
        "p, auth:jwt, x:/v1/{id}:cancel, POST, allow, params.name == 'mine'\n"
        "p, auth:jwt, x:/Set(a={x}%2Cb={y}), GET, allow, params.x == '1'\n"
        "p, anyone, x:/with%20space, GET, allow\n# end\n"
    )
    files = {**shipped_files(), "upstreams/x.openapi.yaml": document(paths).encode(), "x.csv": rows.encode()}
    snapshot = snapshot_of(files)
    held = PERSON

    def decide(action: str, path: str) -> bool:
        target = find_target(snapshot.table, snapshot.index, action, f"x:{path}")
        return bool(snapshot.decide(held, target.resource, action, {"params": target.params}))

    for path, name in (("/v1/mine:cancel", "mine"), ("/v1/a%40b:cancel", "a@b"), ("/v1/{name}:cancel", None)):
        target = resolve_target(snapshot, "POST", "route", f"x:{path}")
        assert (target.resource, target.params.get("name")) == ("x:/v1/{name}:cancel", name)
    with pytest.raises(NoSuchTarget):
        resolve_target(snapshot, "POST", "route", "x:/v1/a%3Acancel")
    assert decide("POST", "/v1/mine:cancel")
    assert not decide("POST", "/v1/other:cancel")
    assert decide("GET", "/Set(a=1,b=2)")
    assert not decide("GET", "/Set(a=2,b=2)")
    assert decide("GET", "/with%20space")
    assert snapshot.table.match("x:/v1/{id}") == ("x:/v1/{name}",)
    assert find(snapshot) == find(snapshot_of({**files}))


def test_an_excluded_path_is_denied_with_its_reason() -> None:
    found = service(document("  /t/{a}: {get: {}}\n  /t/{b}: {put: {}}"))
    for resource in ("x:/t/7", "x:/t/{a}"):
        with pytest.raises(NoSuchTarget, match="its OpenAPI document is ambiguous about it"):
            find_target(table(found), {}, "GET", resource)

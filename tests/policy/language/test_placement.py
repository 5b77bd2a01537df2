"""Places of faults: the path in a document, and the line of the model."""

from __future__ import annotations

import json

import pytest

from app.policy.engine.live import build
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import Route, RouteTable
from tests.policy.shipped import DIRECTORY
from tests.policy.small import TABLE, files

RULED = ("p, a:read, /x/**, GET, allow", "p, a:write, /x, POST, allow", "p, b:read, /y, GET, allow")
YAML = """\
openapi: 3.1.0
info: {title: /orders, description: "about /orders: all of them"}
servers: [{url: "https://shop.example.com/v1/"}]
paths:
  /orders/{id}:
    get: {}
  '/orders':
    get: {}
    post: {}
  "/slash/": {put: {}}
  /: {get: {}}
  ? /odd
  : {get: {}}
  /with space,{id}: {get: {}}
  /ops/{name}:cancel: {post: {}}
  /m:
    parameters: []
    put: {}
"""
MORE = [(14, "/with space,{id}"), (15, "/ops/{name}:cancel"), (16, "/m")]
PATHS: dict[str, object] = {"/orders": {"get": {}}, "/orders/{id}": {"get": {}, "delete": {}}}


def faults(document: str, ending: str = "yaml", *rows: str) -> list[Fault]:
    made = {**files(*RULED, *rows), f"upstreams/shop.openapi.{ending}": document.encode()}
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(made)), TABLE)
    return list(refused.value.faults)


def places(document: str, ending: str = "yaml", *rows: str) -> list[tuple[int, str]]:
    found = faults(document, ending, *rows)
    assert {(fault.code, fault.file) for fault in found} == {("unruled-route", f"upstreams/shop.openapi.{ending}")}
    return [(fault.line, fault.text[fault.column - 1 :][: fault.length]) for fault in found]


def test_an_endpoint_of_another_service_without_a_row_is_named_at_its_path_in_the_document() -> None:
    assert places(YAML) == [(5, "/orders/{id}"), (7, "/orders"), (10, "/slash/"), (11, "/"), (12, "/odd"), *MORE]
    assert places(YAML, "yaml", "p, a:read, shop:/v1/orders/**, GET, allow")[0] == (7, "/orders")


@pytest.mark.parametrize("indent", [None, 2])
def test_the_place_is_found_in_json(indent: int | None) -> None:
    text = json.dumps({"openapi": "3.0.3", "paths": PATHS}, indent=indent)
    assert [word for _, word in places(text, "json")] == ["/orders", "/orders/{id}"]
    escaped = places(text.replace('"/', '"\\/'), "json")
    assert [word for _, word in escaped] == ["\\/orders", "\\/orders/{id}"]
    assert [line for line, _ in escaped] == ([1, 1] if indent is None else [4, 7])


def test_an_endpoint_of_the_application_is_reported_after_the_rows_of_similar_ones() -> None:
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(files(*RULED[:2]))), TABLE)
    assert [(fault.code, fault.file, fault.line) for fault in refused.value.faults] == [
        ("unruled-route", "rows.csv", 3)
    ]


@pytest.mark.parametrize(
    "model",
    [
        "[request_definition]\nr = sub, obj, act\n\n[policy_definition]\np = sub, obj, act\n\n[policy_effect]\n"
        "e = some(where (p.eft == allow))\n\n[matchers]\nm = r.sub == p.sub && r.obj == p.obj && r.act == p.act\n",
        "[request_definition]\nr = sub, dom, obj, act\n[policy_definition]\np = sub, dom, obj, act\n"
        "[role_definition]\ng = _, _, _\n[policy_effect]\ne = some(where (p.eft == allow))\n"
        "[matchers]\nm = g(r.sub, p.sub, r.dom) && r.dom == p.dom && r.obj == p.obj && r.act == p.act",
        "# priority\n[policy_definition]\np = priority, sub, obj, act, eft\n",
        "",
    ],
)
def test_another_model_is_refused_with_a_link_to_the_migration_guide(model: str) -> None:
    made = {**files("p, alice, data1, read"), "model.conf": model.encode()}
    with pytest.raises(PolicyRefused) as refused:
        parse(from_bytes(made))
    fault = next(fault for fault in refused.value.faults if fault.file == "model.conf")
    assert fault.code == "model"
    assert fault.line > 0
    assert "custom models are not supported" in fault.message
    assert "“Rows of another model” in policies/REFERENCE.md" in fault.hint
    assert ("arity", "rows.csv") in [(fault.code, fault.file) for fault in refused.value.faults]


def test_the_guide_has_that_section() -> None:
    assert "\n## Rows of another model\n" in (DIRECTORY / "REFERENCE.md").read_text()


@pytest.mark.parametrize(
    ("document", "line", "word"),
    [
        ("openapi: 3.1.0\nservers: [{url: /v1}]\npaths:\n  /a/b: {get: {}}\n  /b: {get: {}}\n", 4, "/a/b"),
        ("openapi: 3.1.0\nservers: [{url: /a}]\npaths:\n  /b: {get: {}}\n", 4, "/b"),
        ("openapi: 3.1.0\npaths:\n  '/a b': {get: {}}\n", 3, "/a b"),
        ('openapi: 3.1.0\npaths:\n  "\\x2fa": {get: {}}\n', 2, "paths:"),
        ('openapi: 3.1.0\n"pat\\x68s":\n  "\\x2fa": {get: {}}\n', 1, "o"),
    ],
)
def test_a_path_is_located_in_any_notation(document: str, line: int, word: str) -> None:
    found = faults(document)[0]
    assert (found.code, found.file, found.line) == ("unruled-route", "upstreams/shop.openapi.yaml", line)
    assert found.text[found.column - 1 :][: found.length] == word
    assert found.text == document.split("\n")[line - 1]


def unruled(table: RouteTable, **rows: str) -> list[tuple[str, int, int, int, str]]:
    """The places of endpoints without a row, for files of rows by name."""
    made = {**files(), **{f"{name}.csv": f"{text}# end\n".encode() for name, text in rows.items()}}
    made["upstreams/shop.openapi.yaml"] = b"openapi: 3.1.0\npaths:\n  /y/z: {get: {}}\n"
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(made)), table)
    return [(each.file, each.line, each.column, each.length, each.text) for each in refused.value.faults]


def test_an_endpoint_of_a_policy_without_rows_is_reported_in_the_file_to_write() -> None:
    made = {name: text for name, text in files().items() if name != "rows.csv"}
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(made)), RouteTable([Route("/a", "GET")]))
    (fault,) = refused.value.faults
    assert (fault.code, fault.place, fault.length, fault.text) == ("unruled-route", "policy.csv:1:1", 1, "")


@pytest.mark.parametrize(
    ("routes", "rows", "file"),
    [
        # The file with rows about paths that share the most segments, then of equal length, then the most rows.
        (("/a/b/c", "/a/b/d"), {"one": "/a/b/d", "two": "/a"}, "one"),
        (("/a/b/c", "/a", "/q"), {"one": "/q", "two": "/a"}, "two"),
        (("/a/b", "/a/c", "/a/c/d"), {"one": "/a/c/d", "two": "/a/c"}, "two"),
        (("/a/b", "/a/c", "/a/d", "/a/e"), {"one": "/a/c", "two": "/a/d /a/e"}, "two"),
        (("/a/b", "/a/c", "/a/d"), {"one": "/a/c", "two": "/a/d"}, "one"),
        (("/a/b",), {"one": "", "zzz": "shop:/y/**"}, "zzz"),
        (("/a/b", "/a/c", "/a/d", "/a/e"), {"one": "/a/c", "two": "/a/d/** /a/e/**"}, "two"),
        (("/a/b/{id}", "/a/c/d", "/a/e", "/a/f"), {"one": "/a/c/d", "two": "/a/e/** /a/f/**"}, "two"),
        (("/a/b/{id}", "/a/c/d", "/a/c/e", "/a/f"), {"one": "/a/c/d /a/c/e", "two": "/a/f/**"}, "two"),
        (("/{id}", "/a", "/b/c"), {"one": "/b/c", "two": "/a"}, "two"),
        (("/a", "/a/b/c", "/a/d"), {"one": "/a/b/c/**", "two": "/a/d"}, "two"),
    ],
)
def test_an_endpoint_without_a_row_is_reported_in_the_file_of_similar_ones(
    routes: tuple[str, ...], rows: dict[str, str], file: str
) -> None:
    made = {name: "".join(f"p, a:read, {path}, GET, allow\n" for path in text.split()) for name, text in rows.items()}
    if not any("shop:" in text for text in made.values()):
        made["shop"] = "p, a:read, shop:/y/**, GET, allow\n"
    table = RouteTable(Route(path, "GET") for path in routes)
    last = made[file].count("\n")
    assert unruled(table, **made)[0] == (f"{file}.csv", last + 1, 1, 5, "# end")


@pytest.mark.parametrize(
    ("row", "code", "word"),
    [
        ("p, a:read, /z, GET, allow", "dead-row", "/z"),
        ("p, a:read, /y, GET|POST, allow", "dead-action", "POST"),
        ("p, POST:x a:read, /POST, POST, allow", "unknown-grant", "POST:x"),
        ("p, role:one, /y, GET, allow", "unknown-role", "role:one"),
    ],
)
def test_a_fault_of_a_row_is_at_its_word(row: str, code: str, word: str) -> None:
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(files(*RULED, row))), TABLE)
    at = {fault.code: fault for fault in refused.value.faults if fault.line == len(RULED) + 1}
    fault = at[code]
    assert (fault.column, fault.length, fault.text) == (row.index(word) + 1, len(word), row)


@pytest.mark.parametrize(
    ("methods", "rows"),
    [
        ("GET", "`p, <grants>, /new, GET, allow`"),
        ("GET HEAD QUERY", "`p, <grants>, /new, GET|HEAD|QUERY, allow`"),
        ("POST DELETE", "`p, <grants>, /new, POST|DELETE, allow`"),
        ("GET POST", "`p, <grants for reads>, /new, GET, allow` and `p, <grants for writes>, /new, POST, allow`"),
        (
            "GET OPTIONS PATCH PUT",
            "`p, <grants for reads>, /new, GET, allow` and `p, <grants for writes>, /new, PUT|PATCH, allow` and "
            "`p, <grants for OPTIONS>, /new, OPTIONS, allow`",
        ),
        (
            "TRACE WEBSOCKET",
            "`p, <grants for TRACE>, /new, TRACE, allow` and `p, <grants for WEBSOCKET>, /new, WEBSOCKET, allow`",
        ),
    ],
)
def test_the_suggested_rows_never_join_reads_and_writes(methods: str, rows: str) -> None:
    table = RouteTable([Route("/y", "GET"), *(Route("/new", method) for method in methods.split())])
    with pytest.raises(PolicyRefused) as refused:
        build(parse(from_bytes(files("p, a:read, /y, GET, allow"))), table)
    (fault,) = refused.value.faults
    assert fault.hint == f"add {rows}"

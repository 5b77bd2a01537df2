"""OpenAPI documents of other services, in YAML and JSON: read, or refused with a place.

An input is the ending of the file, `yaml` or `json`, a line break, and its text. Where the readers of both languages
take a text, which JSON is in either, they must read the same endpoints. Each route must be found by a path of its own.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource
from app.policy.language.upstreams import Upstream, load
from app.policy.routing.routes import RouteTable, split_route
from scripts.fuzz.mutations import mutated, mutated_json
from scripts.fuzz.places import check_faults
from scripts.fuzz.target import Check, Target, Violation

_MANY_STEPS = 300_000  # of a document that is not read a second time
_MOST = 60_000  # bytes
_PARTS = {"upstreams/parts.yaml": "get: {}\npost: {servers: [{url: /p}]}\ninner: {one: {delete: {}}}\n"}
_VARIABLES = {"base": {"default": "v1", "enum": ["v1", "v2"]}, "region": {"default": "eu"}}
_DOCUMENTS: tuple[dict[str, Any], ...] = (
    {
        "openapi": "3.1.0",
        "servers": [{"url": "https://{region}.example/{base}", "variables": _VARIABLES}, {"url": "/sandbox/"}],
        "paths": {
            "/orders": {"get": {}, "post": {"responses": {"200": {"description": "ok"}}}},
            "/orders/{id}": {"get": {}, "delete": {}, "parameters": [{"name": "id", "in": "path"}]},
            "/orders/{id}:cancel": {"post": {}},
            "/report.{format}": {"get": {"servers": [{"url": "https://r.example/r"}]}},
            "/files/{path}": {"$ref": "./parts.yaml#/inner/one"},
        },
    },
    {
        "openapi": "3.2.0",
        "paths": {
            "/a/{b}": {"query": {}, "additionalOperations": {"COPY": {}, "PURGE": {}}, "trace": {}},
            "/a/{b}/c?d={e}": {"get": {}},
            "/x/{a}-{b}": {"put": {}, "servers": [{"url": "/y"}]},
            "/p": {"$ref": "#/components/pathItems/p"},
            "/q": {"$ref": "parts.yaml"},
        },
        "components": {"pathItems": {"p": {"patch": {}}}},
    },
)
_YAML = b"""openapi: 3.0.3
x-common: &common {get: {}, head: {}}
servers:
  - url: 'https://a.example/{base}'
    variables: {base: {default: v2, enum: [v1, v2]}}
paths:
  /pets: *common
  /pets/{id}:
    <<: *common
    delete: {}
  "/Products({id})": {get: {}}
  /caf\xc3\xa9/%7Ex: {options: {}}
"""
EXAMPLES = (
    b"yaml\n" + _YAML,
    *(ending + b"\n" + json.dumps(each, indent=1).encode() for each in _DOCUMENTS for ending in (b"json", b"yaml")),
)
_WORDS = (
    *(
        b"openapi: 3.1.0",
        b"paths:",
        b"servers:",
        b"url:",
        b"variables:",
        b"enum:",
        b"default:",
        b"$ref:",
        b"get:",
        b"get",
        b"HEAD",
    ),
    *(
        b"/{a}",
        b"{a}{b}",
        b"{a}-{b}",
        b"{}",
        b"{",
        b"}",
        b"//",
        b"/../",
        b"/./",
        b"%2F",
        b"%2e",
        b"%zz",
        b"?a=b",
        b"#x",
        b"*",
        b"**",
    ),
    *(
        b"&a ",
        b"*a",
        b"<<: ",
        b"!!binary ",
        b"!x ",
        b"---\n",
        b"...\n",
        b"? ",
        b"- ",
        b": ",
        b"|\n",
        b">-\n",
        b"\t",
        b"'",
        b'"',
    ),
    *(
        b"#/paths/~1orders",
        b"#/components/pathItems/p",
        b"./parts.yaml#/inner",
        b"../../etc/passwd",
        b"http://x/y",
        b"file:///x",
    ),
    *(b"\\u0000", b"\\ud800", b"\\/", b"\xef\xbb\xbf", b"null", b"true", b"3.1", b"[]", b"[[", b"{a: b}"),
)
_KEYS = (
    *("get", "post", "head", "servers", "url", "variables", "enum", "default", "$ref", "paths", "openapi", "swagger"),
    *("/a/{b}", "/a/{c}", "/{x}/c", "/a/b:c", "/a/{b}:c", "/a/%62", "/", "", "x-y", "additionalOperations", "query"),
)


@contextmanager
def _opened() -> Iterator[Check]:
    yield check


def check(data: bytes) -> None:
    """Read a document."""
    ending, _, raw = data.partition(b"\n")
    text = raw.decode("utf-8", "replace")
    file = f"upstreams/x.openapi.{'json' if ending == b'json' else 'yaml'}"
    found = _checked(file, text)
    if found is None or found.steps > _MANY_STEPS or not text.lstrip().startswith("{"):
        return
    other = _read(file.replace("json", "#").replace("yaml", "json").replace("#", "yaml"), text)[0]
    if other is not None and _is_json(text) and _endpoints(other) != _endpoints(found):
        raise Violation(f"JSON and YAML differ: {sorted(_endpoints(other) ^ _endpoints(found))[:5]}")


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return False
    return True


def _read(file: str, text: str) -> tuple[Upstream | None, list[Fault]]:
    faults: list[Fault] = []
    (found,) = load(PolicySource({file: text, **_PARTS}, "revision"), faults, {}, ())
    return (None if any(fault.code == "upstream" for fault in faults) else found), faults


def _checked(file: str, text: str) -> Upstream | None:
    """What is read of a document; None for one that is refused. Raises Violation."""
    found, faults = _read(file, text)
    check_faults(faults, required=found is None)
    if found is None:
        return None
    check_faults(found.findings, required=False)
    table = RouteTable(found.routes, closed=found.closed)
    for template in {route.template for route in found.routes[:50]}:
        service, path = split_route(template)
        if "{" not in path and table.resolve(path, service) not in (template, None):
            raise Violation(f"the path {path!r} belongs to {table.resolve(path, service)!r}")
        table.resolve(path.replace("{", "").replace("}", ""), service)
    return found


def _endpoints(found: Upstream) -> set[tuple[str, str]]:
    return {(route.method, route.template) for route in found.routes}


@st.composite
def _structured(draw: DrawFn) -> bytes:
    return draw(st.sampled_from([b"json\n", b"yaml\n"])) + draw(mutated_json(_DOCUMENTS, _KEYS))


@st.composite
def _many_paths(draw: DrawFn) -> bytes:
    """Paths of few pieces, of which many can match one request."""
    pieces = st.sampled_from(
        ["/a", "/b", "/{a}", "/{b}", "/{a}-{b}", "/x{a}", "/{a}x", "/{a}.json", ":c", "/%61", "/**", "/"]
    )
    paths = draw(st.lists(st.lists(pieces, min_size=1, max_size=6).map("".join), min_size=1, max_size=40))
    methods = draw(st.lists(st.sampled_from(["get", "head", "post", "query"]), min_size=1, max_size=3, unique=True))
    return (
        b"json\n"
        + json.dumps(
            {"openapi": "3.2.0", "paths": {path: {method: {} for method in methods} for path in paths}}
        ).encode()
    )


@st.composite
def _textual(draw: DrawFn, bases: Sequence[bytes]) -> bytes:
    ending, _, text = draw(st.sampled_from(bases)).partition(b"\n")
    return ending + b"\n" + draw(mutated([text, *(base.partition(b"\n")[2] for base in bases)], _WORDS, most=_MOST))


def _inputs(seeds: Sequence[bytes]) -> SearchStrategy[bytes]:
    return _structured() | _many_paths() | _textual([*EXAMPLES, *seeds])


TARGET = Target("documents", EXAMPLES, _inputs, _opened)

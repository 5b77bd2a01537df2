"""The steps of reading a document, and the bounds of its depth and size, each at and beyond the bound."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from app.policy.language.openapi import budget, endpoints, references, servers, yaml_tree
from app.policy.language.openapi.budget import DocumentBudget, Work
from app.policy.language.openapi.paths import MAX_LENGTH, MAX_PARAMETERS, MAX_SEGMENTS
from app.policy.language.openapi.tree import MAX_DEPTH, Mode, Unreadable
from tests.policy.documents import document, read, service

YAML, JSON = "upstreams/x.openapi.yaml", "upstreams/x.openapi.json"
SERVERS = (
    "openapi: 3.1.0\n"
    "servers: [{url: /a/b}, {url: 'https://{h}.example/{v}', variables: {v: {default: v1, enum: [v2]}}}]"
)
COMPONENTS = "openapi: 3.1.0\ncomponents: {pathItems: {x: {get: {}}}}"


@pytest.mark.parametrize(
    ("paths", "head", "steps"),
    [
        ("  /x: {get: {}}", "", 33),
        ("  /x: {get: {}}\n  /x/y: {get: {}}\n  /y: {put: {}}", "", 106),
        ("  /{a}: {get: {}}\n  /{a}/x: {get: {}}\n  /b/{c}: {get: {}}\n  /b/x: {get: {}}", "", 233),
        ("  /{a}.json: {get: {}}\n  /{a}-{b}.json: {get: {}}\n  /{a}: {get: {}}\n  /x/{a}: {get: {}}", "", 229),
        ("  /{a+}: {get: {}}\n  /b/{c:path}: {get: {}}\n  /b/c/d: {get: {}}\n  /{a}/x: {get: {}}", "", 193),
        ("  /x: {get: {}}\n  /{y}: {get: {servers: [{url: /c}]}}", SERVERS, 411),
        ("  /x: {$ref: '#/components/pathItems/x'}\n  /y: {get: {$ref: '#/paths/~1x/get'}}", COMPONENTS, 106),
        ("  /x: {additionalOperations: {COPY: {}, PATCH: {}}}", "openapi: 3.2.0", 49),
    ],
)
def test_each_part_of_a_document_costs_its_steps(paths: str, head: str, steps: int) -> None:
    assert service(document(paths, head or "openapi: 3.1.0")).steps == steps


def test_a_path_that_is_too_long_costs_only_its_characters() -> None:
    def steps(length: int) -> int:
        text = json.dumps({"openapi": "3.1.0", "paths": {"/" + "a/" * (length // 2) + "b": {"get": {}}, "/x": {}}})
        return read(text, JSON)[0].steps

    assert steps(MAX_LENGTH + 602) - steps(MAX_LENGTH + 2) == 100


def _at_most(bound: int, taken: Callable[[int], list[str]], message: str) -> None:
    """A document at the bound is accepted, and one beyond it is refused with this message."""
    assert taken(bound) == []
    assert [message in said for said in taken(bound + 1)] == [True]


@pytest.mark.parametrize(
    ("deepest", "text"),
    [
        (98, "openapi: 3.1.0\nx-deep: %s\npaths: {/x: {get: {}}}\n"),
        (97, "openapi: 3.1.0\ncomponents: {pathItems: {x: %s}}\npaths: {/x: {get: {}}}\n"),
        (96, "openapi: 3.1.0\ncomponents: {schemas: {x: %s}}\npaths: {/x: {get: {}}}\n"),
        (99, "openapi: 3.1.0\nx: &a %s\npaths: {/x: {get: {}}}\n"),
        (97, '{"openapi": "3.1.0", "components": {"pathItems": {"x": %s}}, "paths": {"/x": {"get": {}}}}'),
        (97, "openapi: 3.1.0\nx-deep: {a: %s}\npaths: {/x: {get: {}}}\n"),
        (98, "openapi: 3.1.0\nx: &a {a: %s}\npaths: {/x: {get: {}}}\n"),
        (99, '{"openapi": "3.1.0", "swagger": %s, "paths": {"/x": {"get": {}}}}'),
    ],
)
def test_the_depth_of_a_document_is_bounded(deepest: int, text: str) -> None:
    def taken(depth: int) -> list[str]:
        inner = "[" * depth + "]" * depth
        return [fault.message for fault in read(text % inner, JSON if text[0] == "{" else YAML)[1]]

    _at_most(deepest, taken, "the document is nested too deeply")


def _refused(servers_: object, paths: object = None) -> list[str]:
    text = json.dumps({"openapi": "3.1.0", "servers": servers_, "paths": paths or {"/x": {"get": {}}}})
    return [fault.message for fault in read(text, JSON)[1]]


def test_the_addresses_and_paths_of_servers_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(servers, "MAX_ADDRESSES", 6)
    monkeypatch.setattr(servers, "MAX_ADDRESSES_TOGETHER", 9)
    monkeypatch.setattr(servers, "MAX_PATHS", 5)

    def of(values: int, more: int = 1) -> object:
        variables = {"a": {"default": "v0", "enum": [f"v{n}" for n in range(values)]}}
        return [{"url": "/{a}", "variables": variables}] * more

    _at_most(5, lambda count: _refused(of(count)), "the servers have more than 5 paths")
    monkeypatch.setattr(servers, "MAX_PATHS", 50)
    _at_most(6, lambda count: _refused(of(count)), "the server `/{a}` has more than 6 addresses")
    _at_most(3, lambda more: _refused(of(3, more)), "the servers together have more than 9 addresses")


@pytest.mark.parametrize(
    ("url", "longest"),
    [("https://{h}.example/v1", MAX_LENGTH - 19), ("/{h}", MAX_LENGTH - 1)],
)
def test_the_length_of_a_server_address_is_bounded(url: str, longest: int) -> None:
    def filled(length: int) -> list[str]:
        return _refused([{"url": url, "variables": {"h": {"default": "h" * length}}}])

    def plain(length: int) -> list[str]:
        return _refused([{"url": url.replace("{h}", "h" * length)}])

    _at_most(longest, filled, "with the values of its variables has more than 4096 characters")
    _at_most(longest, plain, "has more than 4096 characters")


def test_the_paths_of_a_document_and_the_keys_of_a_path_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints, "MAX_PLACES", 3)
    monkeypatch.setattr(endpoints, "MAX_KEYS", 2)

    def paths(count: int) -> list[str]:
        return _refused([], {f"/x{number}": {"get": {}} for number in range(count)})

    _at_most(3, paths, "the document has more than 3 paths")
    keys: dict[str, object] = {"get": {}, "x-a": 1}
    found = service(json.dumps({"openapi": "3.1.0", "paths": {"/x": keys, "/y": {**keys, "x-b": 1}}}), JSON)
    assert [route.template for route in found.routes] == ["x:/x"]
    assert [fault.message for fault in found.findings] == ["`/y` is denied: it has more than 2 keys"]


def test_the_keys_copied_by_merges_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "MAX_MERGED", 4)

    def merged(count: int) -> list[str]:
        keys = ", ".join(f"k{number}: 1" for number in range(count))
        return [
            fault.message for fault in read(document("  /x: {<<: *a, get: {}}", f"openapi: 3.1.0\nx: &a {{{keys}}}"))[1]
        ]

    _at_most(4, merged, "merges copy more than 4 keys")


def test_the_depth_and_files_of_references_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(references, "MAX_CHAIN", 3)
    monkeypatch.setattr(references, "MAX_FILES", 2)

    def chain(length: int) -> list[str]:
        items = [f"    p{at}: {{$ref: '#/components/pathItems/p{at + 1}'}}" for at in range(length - 1)]
        head = "\n".join(["openapi: 3.1.0", "components:", "  pathItems:", *items, f"    p{length - 1}: {{get: {{}}}}"])
        found = service(document("  /x: {$ref: '#/components/pathItems/p0'}\n  /y: {get: {}}", head))
        return [fault.message for fault in found.findings]

    _at_most(3, chain, "`#/components/pathItems/p3` is a cycle or too long a chain of references")

    def files(count: int) -> list[str]:
        more = {f"upstreams/f{at}.yaml": "get: {}\n" for at in range(count)}
        paths = "\n".join(f"  /x{at}: {{$ref: f{at}.yaml}}" for at in range(count))
        found = service(document(paths), more=more)
        assert found.files == tuple(more)
        return [fault.message for fault in found.findings]

    _at_most(2, files, "the document refers to more than 2 files")


@pytest.mark.parametrize(
    ("bound", "path"),
    [
        (MAX_SEGMENTS, lambda count: "/a" * count),
        (MAX_PARAMETERS, lambda count: "/" + "-".join(f"{{p{at}}}" for at in range(count))),
        (MAX_LENGTH, lambda count: "/" + "a" * (count - 1)),
    ],
)
def test_the_segments_parameters_and_length_of_a_path_are_bounded(bound: int, path: Callable[[int], str]) -> None:
    def denied(count: int) -> list[str]:
        text = json.dumps({"openapi": "3.1.0", "paths": {path(count): {"get": {}}, "/ok": {"get": {}}}})
        return [fault.code for fault in service(text, JSON).findings]

    _at_most(bound, denied, "unroutable-path")


@pytest.mark.parametrize(("before", "left"), [(0, 10), (15, 5), (20, 0)])
def test_documents_share_a_budget_of_steps(monkeypatch: pytest.MonkeyPatch, before: int, left: int) -> None:
    monkeypatch.setattr(budget, "MAX_STEPS", 10)
    monkeypatch.setattr(budget, "MAX_STEPS_TOGETHER", 20)
    spent = DocumentBudget(before)
    spent.spend(Work.SERVERS, left)
    assert spent.spent == left
    with pytest.raises(Unreadable) as refused:
        spent.spend(Work.PLACES, 1)
    assert spent.spent == left
    together = "the documents of the policy together take more than 20 steps to read"
    assert (str(refused.value) == together) is (before > 10)
    if before <= 10:
        assert (
            str(refused.value) == "its servers have too many addresses: the document takes more than 10 steps to read"
        )


def test_the_document_with_the_most_steps_is_named() -> None:
    spent = DocumentBudget(0)
    spent.spend(Work.REFERENCES, budget.MAX_STEPS // 2 - 1)
    with pytest.raises(Unreadable, match="too many paths can match the same request"):
        spent.spend(Work.COMPARISONS, budget.MAX_STEPS)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('\n\n{"openapi": "3.1.0",\n"paths": {"/x": {"get": {}},\n"/x": {}}}', 5, "`/x` is repeated in one mapping"),
        ('{"openapi": "3.1.0"\n, "paths": {"/x": {"get": {},\n\n"get": {}}}}', 4, "`get` is repeated in one mapping"),
        ('{"openapi": "3.1.0", "paths": {"/x": {"get": {}}}}\n7', 2, "not JSON: Extra data"),
        ('{"openapi": "3.1.0",\n paths: {}}', 2, "not JSON: Expecting property name enclosed in double quotes"),
        ('{"openapi"\n "3.1.0"}', 2, "not JSON: Expecting ':' delimiter"),
        ('{"openapi": "3.1.0"\n "paths": {}}', 2, "not JSON: Expecting ',' delimiter"),
        ('{"servers": [\n1 2]}', 2, "not JSON: Expecting ',' delimiter"),
        ('{"servers": [1,\n]}', 2, "not JSON: Expecting value"),
        ('{"openapi": "3.1.0",\n}', 2, "not JSON: Expecting property name enclosed in double quotes"),
        ("", 1, "not JSON: Expecting value"),
        ('{"openapi": "2.7"}', 1, "OpenAPI 2.7 is not supported, only 3.0 to 3.2"),
        ('{"openapi": 3}', 1, "OpenAPI 3 is not supported, only 3.0 to 3.2"),
        ('{"openapi": null}', 0, "this is not an OpenAPI 3 document"),
        ('{"openapi": "3.1.0", "paths": []}', 0, "the document has no `paths`"),
        ('{"openapi": "3.1.0", "servers": [[]], "paths": {}}', 1, "a server must have a `url`"),
    ],
)
def test_invalid_json_is_refused_at_its_line(text: str, line: int, message: str) -> None:
    _, (fault,) = read(text, JSON)
    assert (fault.line, fault.message) == (line, message)


@pytest.mark.parametrize("blanks", ["", " ", "\n\t\r "])
def test_json_is_read_with_any_whitespace(blanks: str) -> None:
    tokens = '{ "openapi" : "3.1.0" , "x" : [ ] , "y" : [ 1 , [ ] , { } ] , "paths" : { "/a" : { "get" : { } } } }'
    assert len(service(blanks + tokens.replace(" ", blanks) + blanks, JSON).routes) == 1


@pytest.mark.parametrize("key", ["a", "<<"])
@pytest.mark.parametrize("over", [0, 1])
def test_a_merged_mapping_is_as_deep_as_one_under_a_key(key: str, over: int) -> None:
    count = MAX_DEPTH - 1 + over  # with the innermost, which is empty
    text = f"{{{key}: " * count + "{}" + "}" * count
    if over:
        with pytest.raises(Unreadable, match="nested"):
            yaml_tree.read_yaml(text, Mode.ALL)
    else:
        yaml_tree.read_yaml(text, Mode.ALL)

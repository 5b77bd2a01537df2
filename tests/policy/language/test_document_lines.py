"""Where the paths of OpenAPI documents are, also in documents that make this costly."""

from __future__ import annotations

import json

import pytest

from app.policy.language.placement import DocumentLines
from tests.policy.documents import document
from tests.policy.shipped import policy_of, shipped_files

LONG = 300_000  # characters
YAML, JSON = "upstreams/o.openapi.yaml", "upstreams/o.openapi.json"
PETS: dict[str, object] = {"get": {}}


def span_of(template: str, file: str, text: str) -> tuple[int, str] | None:
    """The line and the text of the fault at a template."""
    lines = DocumentLines(policy_of({**shipped_files(), file: text.encode()}))
    found = lines.fault(f"o:{template}", "code", "message", "hint")
    assert found is not None
    line = text.split("\n")[found.line - 1]
    return found.line, line[found.column - 1 : found.column - 1 + found.length]


@pytest.mark.parametrize(
    ("text", "line", "word"),
    [
        (document("  /pets/{id}:\n    get: {}"), 3, "/pets/{id}"),
        (document("  /pets/{id} :\n    get: {}"), 3, "/pets/{id}"),
        (document("  ? /pets/{id}\n  : get: {}"), 3, "/pets/{id}"),
        (document("  '/pets/{id}': {get: {}}"), 3, "/pets/{id}"),
        (document('  {"/pets/{id}": {get: {}}}'), 3, "/pets/{id}"),
        (document("  {/a: {get: {}}, '/pets/{id}': {get: {}}}"), 3, "/pets/{id}"),
        ("openapi: 3.1.0\npaths: {/a : {get: {}}, /b: {get: {}}}\n", 2, "paths:"),
    ],
)
def test_a_path_is_found_where_it_is_written(text: str, line: int, word: str) -> None:
    assert span_of("/pets/{id}", YAML, text) == (line, word)


@pytest.mark.parametrize("path", ["/a", "/b"])
def test_plain_keys_within_braces_are_found(path: str) -> None:
    assert span_of(path, YAML, "openapi: 3.1.0\npaths: {/a : {get: {}}, /b: {get: {}}}\n") == (2, path)


def test_keys_of_json_are_found() -> None:
    text = json.dumps({"openapi": "3.1.0", "paths": {"/a": PETS, "/pets/{id}": PETS}}, indent=1)
    line = next(number for number, each in enumerate(text.split("\n"), 1) if "/pets" in each)
    assert span_of("/pets/{id}", JSON, text) == (line, "/pets/{id}")


@pytest.mark.parametrize(
    "filler",
    [f"# {',/' * (LONG // 2)}\n", f"x-a: |\n  /a{' ' * LONG}x\n", "\n" * LONG, f"x-a: 'b{',/a' * (LONG // 3)}'\n"],
    ids=["starts", "spaces", "blank lines", "text"],
)
def test_a_long_text_takes_no_longer_than_its_length(filler: str) -> None:
    """Each of these took minutes, during which a server would have answered nothing."""
    text = f"openapi: 3.1.0\n{filler}paths:\n  /a: {{get: {{}}}}\n"
    assert span_of("/other", YAML, text) == (text.count("\n") - 1, "paths:")

"""The TextMate grammar of rows gives every word of a policy a scope, read by the library that editors use."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.node_packages import NODE, node_packages
from tests.support.server import ROOT

GRAMMAR = ROOT / "scripts" / "editor" / "griddy-policy.tmLanguage.json"
PROJECT = Path(__file__).with_name("grammar")
END = ".griddy-policy"

# A word with the scope that it must have, in one of these rows.
ROWS = '''\
# a comment, with p, rows
p, catalog:read role:editor, /api/v1/teams/{team_id}/**, GET|HEAD, allow
p, anyone, orders:/v1/*/export, POST, deny, "ip_in(request.ip, '10.0.0.0/8') && subject.org.id == ""a"""
 g ,user:auth0|5f7c, role:admin
p, app-kind:registered, scope:holdings:write, ask, allow
p, "env:test", record:record-1, read, deny, has(params.id) && 'role:owner' in subject.permissions || 1.5 < 2
p, auth:jwt, /x
x, y
p, catalog:read, /api, GET, alow
p, Catalog, /a, GET, allow
'''
EXPECTED = {
    "# a comment, with p, rows": "comment.line.number-sign",
    "p": "keyword.other.row",
    "g": "keyword.other.row",
    "catalog": "entity.name.tag.permission",
    "read": "support.constant.permission",
    "editor": "entity.name.type.role",
    "admin": "entity.name.type.role",
    "teams": "string.unquoted.path",
    "team_id": "variable.parameter.route",
    "**": "keyword.operator.wildcard",
    "*": "keyword.operator.wildcard",
    "GET": "support.function.method",
    "|": "keyword.operator.alternative",
    "allow": "keyword.control.allow",
    "anyone": "constant.language.fact",
    "orders": "entity.name.namespace.service",
    "deny": "keyword.control.deny",
    "ip_in": "support.function.condition",
    "request": "variable.language",
    "ip": "variable.other.member",
    "10.0.0.0/8": "string.quoted.single",
    "&&": "keyword.operator.condition",
    "==": "keyword.operator.condition",
    "a": "string.quoted.double",
    "auth0|5f7c": "variable.other.fact",
    "registered": "constant.language.fact",
    "scope": "storage.type.scope",
    "holdings": "entity.name.tag.permission",
    "ask": "support.function.action",
    "test": "constant.language.fact",
    "record": "entity.name.type.thing",
    "record-1": "variable.other.thing",
    "has": "support.function.condition",
    "in": "keyword.operator.word",
    "owner": "entity.name.type.role",
    "1.5": "constant.numeric",
    "x, y": "invalid.illegal.row",
    "alow": "invalid.illegal.effect",
    "Catalog": "invalid.illegal.grant",
}


@pytest.fixture(scope="module")
def tokens() -> list[list[tuple[str, list[str]]]]:
    """The tokens of ROWS, and then of each file of rows of the shipped policy."""
    return read([ROWS, *(file.read_text() for file in shipped())])


def shipped() -> list[Path]:
    return sorted((ROOT / "policies").glob("*.csv"))


def read(texts: Sequence[str]) -> list[list[tuple[str, list[str]]]]:
    modules = node_packages(PROJECT) / "package.json"
    command = [NODE, PROJECT / "tokens.mjs", modules, GRAMMAR]
    done = subprocess.run(command, input=json.dumps(texts), capture_output=True, text=True, timeout=60, check=True)
    found: list[list[tuple[str, list[str]]]] = json.loads(done.stdout)
    return found


def innermost(scopes: list[str]) -> str:
    """The innermost scope that says what a token is; empty if there is none."""
    named = [scope.removesuffix(END) for scope in scopes if not scope.startswith(("source.", "meta."))]
    return named[-1] if named else ""


def test_each_word_has_its_scope(tokens: list[list[tuple[str, list[str]]]]) -> None:
    found = {(text.strip(), innermost(scopes)) for text, scopes in tokens[0]}
    assert [pair for pair in EXPECTED.items() if pair not in found] == []


def test_no_token_of_the_shipped_policy_is_without_a_scope_or_illegal(
    tokens: list[list[tuple[str, list[str]]]],
) -> None:
    for file, of_file in zip(shipped(), tokens[1:], strict=True):
        words = [(text, innermost(scopes)) for text, scopes in of_file if text.strip()]
        assert [text for text, scope in words if not scope or scope.startswith("invalid.")] == [], file
        assert "".join(text for text, _ in of_file).replace("\n", "") == file.read_text().replace("\n", ""), file


def test_the_extension_names_the_files_beside_it() -> None:
    package = json.loads((GRAMMAR.parent / "package.json").read_text())
    (language,), (grammar,) = package["contributes"]["languages"], package["contributes"]["grammars"]
    assert grammar["scopeName"] == json.loads(GRAMMAR.read_text())["scopeName"]
    assert grammar["language"] == language["id"]
    assert all((GRAMMAR.parent / path).is_file() for path in (grammar["path"], language["configuration"]))

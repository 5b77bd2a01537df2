"""The catalogue of permissions: faults of entries at their words."""

from __future__ import annotations

import pytest

from app.policy.language.fault import Fault
from app.policy.language.permissions import FILE, MAX_FAULTS, Permission, load
from app.policy.language.source import PolicySource
from app.policy.language.toml_file import MAX_CHARACTERS

MARK = "‸"
GOOD = 'title = "t"\ngrants = "g"\n'


def read(text: str) -> tuple[dict[str, Permission], list[Fault]]:
    faults: list[Fault] = []
    return dict(load(PolicySource({FILE: text}, "r"), faults)), faults


def test_an_entry_has_a_title_grants_and_an_optional_deprecation() -> None:
    catalog, faults = read(
        f'["a:read"]\n{GOOD}deprecated = true\n["b:write"]\n{GOOD}deprecated = false\n["c-1:d_2"]\n{GOOD}'
    )
    assert not faults
    assert catalog == {
        "a:read": Permission("a:read", "t", "g", deprecated=True),
        "b:write": Permission("b:write", "t", "g"),
        "c-1:d_2": Permission("c-1:d_2", "t", "g"),
    }


def test_a_missing_catalogue_has_no_faults_of_entries() -> None:
    faults: list[Fault] = []
    assert load(PolicySource({}, "r"), faults) == {}
    assert faults == []


@pytest.mark.parametrize(
    ("text", "length", "message", "hint"),
    [
        ('"‸a:read" = 7\n', 6, "`a:read` is not a table", 'write ["a:read"], then title = "…"'),
        ('"‸a:read" = "t"\n', 6, "`a:read` is not a table", "write"),
        (f'["‸a:read"]\n{GOOD[:12]}', 6, "`a:read` has no `grants`", "write"),
        (f'["‸a:read"]\n{GOOD[12:]}', 6, "`a:read` has no `title`", "write"),
        ('["‸a:read"]\n', 6, "`a:read` has no `title`", "write"),
        (f'["a:read"]\n{GOOD}‸other = 1\n', 5, "`other` is an unknown key", "use one of title, grants, deprecated"),
        ('["a:read"]\n‸title = true\ngrants = "g"\n', 5, "`title` must be a text", "write"),
        (f'["a:read"]\n{GOOD}‸deprecated = 1\n', 10, "`deprecated` must be true or false", "write"),
        ('["a:read"]\ntitle = "t"\n‸grants = " "\n', 6, "`grants` must be one line of visible text", "write"),
        ('["a:read"]\ntitle = "t"\n‸grants = "a\\nb"\n', 6, "`grants` must be one line", "write"),
        (f'["‸read"]\n{GOOD}', 4, "`read` is not a permission", "`<resource>:<verb>` in lower case"),
        (f'["‸a:read:x"]\n{GOOD}', 8, "`a:read:x` is not a permission", "`<resource>:<verb>`"),
        *(
            (f'["‸{family}:x"]\n{GOOD}', len(family) + 2, f"`{family}:x` is reserved", "choose another resource name")
            for family in ("auth", "env", "user", "key", "role")
        ),
        (f'["b:read"]\n{GOOD}["‸a:read"]\ntitle = "b:read"\n', 6, "`a:read` has no `grants`", "write"),
        (f'["b:read"]\n{GOOD}["a:read"]\n{GOOD[:12]}‸grants = 7\n', 6, "`grants` must be a text", 'write ["a:read"]'),
        ("\n\n‸# end\n", 1, "the catalogue has no permissions", 'write ["catalog:read"]'),
    ],
)
def test_a_fault_of_an_entry_is_reported_at_its_word(text: str, length: int, message: str, hint: str) -> None:
    before, mark, _ = text.partition(MARK)
    assert mark
    catalog, (fault,) = read(text.replace(MARK, ""))
    assert (fault.code, fault.file, fault.length) == ("catalog", FILE, length)
    assert (fault.line, fault.column) == (before.count("\n") + 1, len(before) - before.rfind("\n"))
    assert fault.text == text.replace(MARK, "").split("\n")[fault.line - 1]
    assert fault.message.startswith(message)
    assert hint in fault.hint
    assert "a:read" not in catalog


def test_an_entry_with_escapes_is_located_by_its_word_or_the_start() -> None:
    _, (fault,) = read('["\\u0061:read"]\nother = 1\n')
    assert (fault.line, fault.column, fault.message) == (2, 1, "`other` is an unknown key")
    _, (fault,) = read('["\\u0061:read"]\n\n')
    assert (fault.line, fault.column, fault.length) == (1, 1, 6)
    _, (fault,) = read(f'["b:read"]\n{GOOD}[ \'a:read\' ]\n"\\u006fther" = 1\n')
    assert (fault.line, fault.column, fault.length) == (4, 1, 5)


@pytest.mark.parametrize(
    ("text", "line", "column", "message"),
    [
        ("a = \n", 1, 5, "not TOML: invalid value"),
        ('["a:read"]\ntitle = "t"\nx y\n', 3, 3, "not TOML: expected '=' after a key in a key/value pair"),
        (f'["a:read"]\n{GOOD}x = {"[" * 5000}\n', 4, 1, "not TOML: it is nested too deep"),
        (f'["a:read"]\nx = {"1" * 5000}\n{GOOD}', 2, 1, "not TOML: a number is too long"),
        (f'x = {"1" * 5000}\n["a:read"]\n{GOOD}', 1, 1, "not TOML: a number is too long"),
    ],
)
def test_invalid_toml_is_refused_at_its_line(text: str, line: int, column: int, message: str) -> None:
    catalog, (fault,) = read(text)
    assert (fault.code, fault.line, fault.column, fault.message) == ("toml", line, column, message)
    assert catalog == {}


@pytest.mark.parametrize("over", [0, 1])
def test_the_length_of_a_catalogue_is_bounded(over: int) -> None:
    entry = f'["a:read"]\n{GOOD}#'
    catalog, faults = read(entry + "x" * (MAX_CHARACTERS - len(entry) + over))
    assert len(catalog) == 1 - over
    assert [(fault.code, fault.line, fault.column) for fault in faults] == [("toml", 0, 0)] * over


def test_the_number_of_reported_faults_of_a_catalogue_is_bounded() -> None:
    faults = [Fault("row-type", "x.csv", 1, 1, "m")] * MAX_FAULTS
    load(PolicySource({FILE: "".join(f'["x{number}"]\n' for number in range(MAX_FAULTS + 5))}, "r"), faults)
    assert len(faults) == 2 * MAX_FAULTS

"""TOML of quadratic cost is refused before parsing."""

from __future__ import annotations

import tomllib

import pytest

from app.policy.language.fault import Fault
from app.policy.language.permissions import FILE, load
from app.policy.language.source import PolicySource
from app.policy.language.toml_bounds import MAX_DIGITS, MAX_LEVELS, MAX_PARTS, find_excess

PARTS, LEVELS, NUMBER = "a key has too many parts", "it is nested too deep", "a number is too long"


def key(parts: int, part: str = "a", dot: str = ".") -> str:
    return dot.join([part] * parts)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        (f"{key(100_000)} = 1\n", 1, PARTS, "write at most 8"),
        (f"{key(MAX_PARTS + 1)} = 1\n", 1, PARTS, "write at most 8"),
        (f"\n[{key(MAX_PARTS + 1)}]\n", 2, PARTS, "write at most 8"),
        (f"[[ {key(MAX_PARTS + 1, 'a', ' . ')} ]]\n", 1, PARTS, "write at most 8"),
        (key(MAX_PARTS + 1, '"a.b"') + " = 1\n", 1, PARTS, "write at most 8"),
        (key(MAX_PARTS + 1, "''") + " = 1\n", 1, PARTS, "write at most 8"),
        (f"a = '''\n\n'''\nb = {{c = 1, {key(MAX_PARTS + 1)} = 1}}\n", 4, PARTS, "write at most 8"),
        (f'a = """\\"""." # """ # "\n{key(MAX_PARTS + 1)} = 1\n', 2, PARTS, "write at most 8"),
        (f"a = [\n  # ]\n{'[' * MAX_LEVELS}", 3, LEVELS, "open at most 8 brackets"),
        (f"a = {'{a = ' * (MAX_LEVELS + 1)}", 1, LEVELS, "open at most 8 brackets"),
        (f'a = ["]"{", [" * MAX_LEVELS}', 1, LEVELS, "open at most 8 brackets"),
        ("[" * 200_000, 1, LEVELS, "open at most 8 brackets"),
        (f"a = {'1' * (MAX_DIGITS + 1)}\n", 1, NUMBER, "write at most 400 digits"),
        (f"a = [1,\n-{'1_' * MAX_DIGITS}1]\n", 2, NUMBER, "write at most 400 digits"),
        (f"a = 0.{'1' * 5_000}\n", 1, NUMBER, "write at most 400 digits"),
    ],
)
def test_toml_beyond_a_bound_is_refused_at_its_line(text: str, line: int, message: str, hint: str) -> None:
    faults: list[Fault] = []
    assert load(PolicySource({FILE: text}, "r"), faults) == {}
    (fault,) = faults
    assert (fault.code, fault.line, fault.message, fault.hint) == ("toml", line, f"not TOML: {message}", hint)
    assert fault.text == text.split("\n")[line - 1]


@pytest.mark.parametrize(
    "text",
    [
        "",
        f"{key(MAX_PARTS)} = 1.5\n{key(MAX_PARTS, 'b')} = 1\n",
        f"[{key(MAX_PARTS)}]\n[{key(MAX_PARTS)}b]\n",
        f"a = {'[' * MAX_LEVELS}{']' * MAX_LEVELS}\nb = {'[' * MAX_LEVELS}{']' * MAX_LEVELS}\n",
        f"a = {'1' * MAX_DIGITS}\nb = 'x{'1' * 5_000}'\nc{'1' * 500} = 2026-11-29T01:02:03.004005+01:00\n",
        f"# {'a.' * 50} {'[' * 50}\n",
        f'a = "{"a." * 50} {"[" * 50} \\\\"\nb = \'{"a." * 50} {"[" * 50} "\\\'\n',
        f'a = """\n{"a." * 50}""\n\\""" {"[" * 50} \\\\"""""\nb = 1\n',
        f"a = '''\n{'a.' * 50}''\n\\ {'[' * 50}'''''\nb = \"\"\nc = ''\n",
        "a = [1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5, 1.5]\n",
    ],
)
def test_toml_within_the_bounds_is_left_to_its_parser(text: str) -> None:
    tomllib.loads(text)
    assert find_excess(text) is None


@pytest.mark.parametrize(
    "text", ['"', "'", '"""', "'''", '"""\\', '"\\', "a = '\n", 'a = "b\n', 'a = """b', "a.", "]]"]
)
def test_unclosed_values_are_left_to_the_parser(text: str) -> None:
    with pytest.raises(tomllib.TOMLDecodeError):
        tomllib.loads(text)
    assert find_excess(text) is None

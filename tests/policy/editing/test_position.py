"""Positions of an editor in the texts of a policy, at the limits of lines and files."""

from __future__ import annotations

import pytest

from app.policy.editing.position import cursor_at, line_of
from app.policy.language.source import MAX_LINE

SOURCES = {"a.csv": f"one\r\ntwo\n{'x' * MAX_LINE}\n{'x' * (MAX_LINE + 1)}"}


@pytest.mark.parametrize(("line", "text"), [(0, None), (-1, None), (1, "one"), (2, "two"), (5, None)])
def test_a_line_has_no_end_and_must_exist(line: int, text: str | None) -> None:
    assert line_of(SOURCES, "a.csv", line) == text
    assert line_of(SOURCES, "b.csv", line) is None


@pytest.mark.parametrize(("column", "offset"), [(-1, 0), (0, 0), (1, 0), (2, 1), (4, 3), (5, 3), (900, 3)])
def test_a_cursor_is_moved_into_its_line(column: int, offset: int) -> None:
    cursor = cursor_at(SOURCES, "a.csv", 1, column)
    assert cursor is not None
    assert (cursor.line, cursor.text, cursor.offset) == (1, "one", offset)


def test_a_line_over_the_limit_has_no_cursor() -> None:
    assert cursor_at(SOURCES, "a.csv", 3, 1) is not None
    assert cursor_at(SOURCES, "a.csv", 4, 1) is None
    assert cursor_at(SOURCES, "a.csv", 5, 1) is None

"""The word at a position: a grant, a resource, a name of a condition."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from app.policy.editing.line_cells import CONDITION, cell_at, cells_of, condition_start, word_at
from app.policy.editing.position import Span, TextCursor
from app.policy.language import permissions

WordKind = Literal["grant", "resource", "action", "name", "row-place"]

_GRANT = re.compile(r"[A-Za-z][A-Za-z0-9_-]*:[^\s,\"'\[\]]*[^\s,\"'\[\]:]|anyone")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_TEXT = re.compile(r"'([^'\\]*)'")
_PATH = re.compile(r"(?:[a-z][a-z0-9-]*:)?/[^\s,\"']*[^\s,\"':]|/")
_ACTION = re.compile(r"(?<=- )[^\s\"':]+(?=\s+\S)")
_ROW_PLACE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*\.csv(?::[0-9]+)?")


@dataclass(frozen=True, slots=True)
class PolicyWord:
    """A word with its place.

    An `action` is of a case, such as `GET|HEAD`. A `name` is of a condition; a `row-place` is `catalog.csv` or
    `catalog.csv:7`.
    """

    kind: WordKind
    text: str
    span: Span


def word_of(cursor: TextCursor) -> PolicyWord | None:
    """The word at a position; None where there is none that means anything."""
    if cursor.file.endswith(".csv"):
        return _in_row(cursor)
    if cursor.file == permissions.FILE:
        return _found(cursor, "grant", _GRANT)
    if cursor.file.startswith("tests/"):
        if cursor.text.lstrip().startswith("#"):
            return None
        for kind, pattern in _IN_CASES:
            if found := _found(cursor, kind, pattern):
                return found
    return None


_IN_CASES: tuple[tuple[WordKind, re.Pattern[str]], ...] = (
    ("row-place", _ROW_PLACE),
    ("resource", _PATH),
    ("grant", _GRANT),
    ("action", _ACTION),
)


def _in_row(cursor: TextCursor) -> PolicyWord | None:
    cells = cells_of(cursor.text)
    index = cell_at(cells, cursor.offset)
    if not index or cells[0].text not in ("p", "g"):
        return None
    cell = cells[index]
    if cells[0].text == "g" or index == 1:
        start, end = word_at(cell, cursor.offset, " ")
        return _word(cursor, "grant", start, end)
    if index == 2:
        return _word(cursor, "resource", cell.start, cell.end)
    condition = condition_start(cells) if index >= CONDITION else None
    return None if condition is None else _in_condition(cursor, condition)


def _in_condition(cursor: TextCursor, start: int) -> PolicyWord | None:
    """A grant in a text, or a name outside of texts."""
    condition = cursor.text[start:]
    for text in _TEXT.finditer(condition):
        if start + text.start() <= cursor.offset <= start + text.end():
            is_grant = _GRANT.fullmatch(text[1])
            return _word(cursor, "grant", start + text.start(1), start + text.end(1)) if is_grant else None
    for name in _NAME.finditer(condition):
        if start + name.start() <= cursor.offset <= start + name.end():
            return _word(cursor, "name", start + name.start(), start + name.end())
    return None


def _found(cursor: TextCursor, kind: WordKind, pattern: re.Pattern[str]) -> PolicyWord | None:
    for match in pattern.finditer(cursor.text):
        if match.start() <= cursor.offset <= match.end():
            return _word(cursor, kind, match.start(), match.end())
    return None


def _word(cursor: TextCursor, kind: WordKind, start: int, end: int) -> PolicyWord | None:
    return PolicyWord(kind, cursor.text[start:end], cursor.span(start, end)) if start < end else None

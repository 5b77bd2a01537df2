"""Applies changes as an editor does."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from app.policy.editing.position import TextChange


def changed(sources: Mapping[str, str], changes: Iterable[TextChange]) -> dict[str, str]:
    """The texts after changes of different places."""
    found = dict(sources)
    for change in sorted(changes, key=lambda each: (each.file, each.line, each.column), reverse=True):
        text = found[change.file]
        assert min(change.line, change.column, change.end_line, change.end_column) >= 1
        start, end = _index(text, change.line, change.column), _index(text, change.end_line, change.end_column)
        found[change.file] = text[:start] + change.text + text[end:]
    return found


def _index(text: str, line: int, column: int) -> int:
    """The index of a position, which must be in the text; the line after the last one is its end."""
    lines = text.split("\n")
    if (line, column) == (len(lines) + 1, 1):
        return len(text)
    assert line <= len(lines) and column <= len(lines[line - 1]) + 1
    return sum(len(each) + 1 for each in lines[: line - 1]) + column - 1

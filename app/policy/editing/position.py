"""Positions in the texts of a policy, and changes of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from app.policy.language.source import MAX_LINE


@dataclass(frozen=True, slots=True)
class Span:
    """Characters of one line: from `column` up to and without `end`."""

    file: str
    line: int
    column: int
    end: int


@dataclass(frozen=True, slots=True)
class TextChange:
    """Replaces the text from a position up to and without another one."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int
    text: str


@dataclass(frozen=True, slots=True)
class TextCursor:
    """A position in a file; `text` is its line and `offset` the index of the character after it."""

    file: str
    line: int
    text: str
    offset: int

    def span(self, start: int, end: int) -> Span:
        """The span of these indexes of the line."""
        return Span(self.file, self.line, start + 1, end + 1)


def cursor_at(sources: Mapping[str, str], file: str, line: int, column: int) -> TextCursor | None:
    """The cursor at a position, moved into its line; None if there is no such line, or if it is over the limit."""
    text = line_of(sources, file, line)
    if text is None or len(text) > MAX_LINE:
        return None
    return TextCursor(file, line, text, min(max(column - 1, 0), len(text)))


def line_of(sources: Mapping[str, str], file: str, line: int) -> str | None:
    """The text of a line without its end; None if there is no such line."""
    if line < 1 or file not in sources:
        return None
    lines = sources[file].split("\n", line)
    return lines[line - 1].removesuffix("\r") if line <= len(lines) else None


def replaced(span: Span, text: str) -> TextChange:
    """The change that replaces a span."""
    return TextChange(span.file, span.line, span.column, span.line, span.end, text)


def inserted_line(file: str, line: int, text: str) -> TextChange:
    """The change that inserts a line before another one."""
    return TextChange(file, line, 1, line, 1, f"{text}\n")


def deleted_line(file: str, line: int) -> TextChange:
    """The change that deletes a line, with its end."""
    return TextChange(file, line, 1, line + 1, 1, "")

"""Converts positions: faults count characters from 1, and editors count units of an encoding from 0."""

from __future__ import annotations

from functools import cached_property
from typing import Literal

from lsprotocol.types import Position, Range

from app.policy.editing.position import Span

Encoding = Literal["utf-8", "utf-16", "utf-32"]
_ASTRAL = 0xFFFF


class EditorText:
    """A text as an editor counts it: lines end with LF, CR LF or CR, while those of a policy end with LF or CR LF."""

    def __init__(self, text: str, encoding: Encoding) -> None:
        self._text = text
        self._encoding = encoding

    @cached_property
    def _lines(self) -> list[str]:
        return [line.removesuffix("\r") for line in self._text.split("\n")]

    @cached_property
    def _earlier_returns(self) -> list[int]:
        """For each line, how many line breaks by CR alone are above it."""
        counts = [0]
        for line in self._lines if "\r" in self._text else ():
            counts.append(counts[-1] + line.count("\r"))
        return counts if len(counts) > 1 else [0] * (len(self._lines) + 1)

    def position(self, line: int, column: int) -> Position:
        """The editor's position of a line and column; the nearest one if the text has no such place."""
        if line < 1:
            return Position(0, 0)
        if line > len(self._lines):
            last = len(self._lines)
            return self.position(last, len(self._lines[last - 1]) + 1)
        before = self._lines[line - 1][: max(column - 1, 0)]
        above = self._earlier_returns[line - 1] + before.count("\r")
        return Position(line - 1 + above, self._units(before[before.rfind("\r") + 1 :]))

    def range(self, line: int, column: int, end_line: int, end_column: int) -> Range:
        """The editor's range between two places. The beginning of the line after the last is the end of the text."""
        return Range(self.position(line, column), self.position(end_line, end_column))

    def range_of(self, span: Span) -> Range:
        """The editor's range of a span."""
        return self.range(span.line, span.column, span.line, span.end)

    def place(self, position: Position) -> tuple[int, int]:
        """Line and column of an editor's position, which may be outside of the text."""
        number = min(max(position.line, 0), len(self._lines) + self._earlier_returns[-1])
        line = next(
            (index for index in range(min(number, len(self._lines) - 1), -1, -1) if self._first(index) <= number), 0
        )
        parts = self._lines[line].split("\r")
        within = number - self._first(line)
        if within >= len(parts):  # below the last line
            return len(self._lines) + 1, 1
        before = sum(len(part) + 1 for part in parts[:within])
        return line + 1, before + self._characters(parts[within], max(position.character, 0)) + 1

    def _first(self, line: int) -> int:
        return line + self._earlier_returns[line]

    def _units(self, text: str) -> int:
        if self._encoding == "utf-32" or text.isascii():
            return len(text)
        if self._encoding == "utf-8":
            return len(text.encode("utf-8", "surrogatepass"))
        return len(text) + sum(ord(character) > _ASTRAL for character in text)

    def _characters(self, text: str, units: int) -> int:
        """How many characters of a text have at most so many units."""
        if self._encoding == "utf-32" or text.isascii():
            return min(units, len(text))
        left = units
        for count, character in enumerate(text):
            left -= self._units(character)
            if left < 0:
                return count
        return len(text)

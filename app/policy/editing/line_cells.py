"""The cells of a line of a CSV file as an editor needs them: also of a line that is half written."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.policy.language.source import MAX_LINE

_BLANKS = " \t"
CONDITION = 5  # the index of the cell with the condition of a `p` row
_CELL = re.compile(r'(?:\A|,)[ \t]*(?:"(?P<quoted>(?:[^"]|"")*)[^,]*|(?P<plain>[^,]*))')


@dataclass(frozen=True, slots=True)
class LineCell:
    """A cell: where its text is in the line, counted from 0, without blanks and quotes around it, and where it ends.

    `text` is as written: a quote within a quoted cell is doubled.
    """

    text: str
    start: int
    end: int
    border: int  # the index of the comma after it, or the length of the line


def cells_of(line: str) -> tuple[LineCell, ...]:
    """Split a line at its commas outside of quotes; none for a comment and for a line over the limit.

    A quote that is not closed extends to the end of the line.
    """
    if not line or line[0] == "#" or line.isspace() or len(line) > MAX_LINE:
        return ()
    return tuple(map(_cell, _CELL.finditer(line)))


def cell_at(cells: tuple[LineCell, ...], offset: int) -> int | None:
    """The index of the cell at an offset of the line; None without one."""
    return next((index for index, cell in enumerate(cells) if offset <= cell.border), None)


def condition_start(cells: tuple[LineCell, ...]) -> int | None:
    """Where the condition of a `p` row begins; None without one. It may have commas and lack its quotes."""
    return cells[CONDITION].start if len(cells) > CONDITION and cells[0].text == "p" else None


def word_at(cell: LineCell, offset: int, separator: str) -> tuple[int, int]:
    """The span of the word of a cell at an offset of the line, among words with a separator between them."""
    within = min(max(offset, cell.start), cell.end) - cell.start
    start = cell.text.rfind(separator, 0, within) + 1
    end = cell.text.find(separator, within)
    return cell.start + start, cell.start + (end if end >= 0 else len(cell.text))


def _cell(found: re.Match[str]) -> LineCell:
    start, end = found.span("plain" if found["quoted"] is None else "quoted")
    if found["quoted"] is None:
        end = start + len(found["plain"].rstrip(_BLANKS))
    return LineCell(found.string[start:end], start, end, found.end())

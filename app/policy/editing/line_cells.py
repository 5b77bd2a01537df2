"""The cells of a line of a CSV file as an editor needs them: also of a line that is half written."""

from __future__ import annotations

from dataclasses import dataclass

from app.policy.language.source import MAX_LINE

_BLANKS = " \t"
CONDITION = 5  # the index of the cell with the condition of a `p` row


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
    found = []
    position = 0
    while position <= len(line):
        cell = _cell(line, position)
        found.append(cell)
        position = cell.border + 1
    return tuple(found)


def cell_at(cells: tuple[LineCell, ...], offset: int) -> int | None:
    """The index of the cell at an offset of the line; None without one."""
    return next((index for index, cell in enumerate(cells) if offset <= cell.border), None)


def condition_span(line: str, cells: tuple[LineCell, ...]) -> tuple[int, int] | None:
    """Where the condition of a `p` row is, also of one with commas that lacks its quotes; None without a condition."""
    if len(cells) <= CONDITION or cells[0].text != "p":
        return None
    return cells[CONDITION].start, cells[CONDITION].end if len(cells) == CONDITION + 1 else len(line.rstrip())


def word_at(cell: LineCell, offset: int, separator: str) -> tuple[int, int]:
    """The span of the word of a cell at an offset of the line, among words with a separator between them."""
    within = min(max(offset, cell.start), cell.end) - cell.start
    start = cell.text.rfind(separator, 0, within) + 1
    end = cell.text.find(separator, within)
    return cell.start + start, cell.start + (end if end >= 0 else len(cell.text))


def _cell(line: str, position: int) -> LineCell:
    start = position
    while start < len(line) and line[start] in _BLANKS:
        start += 1
    if line[start : start + 1] != '"':
        border = line.find(",", start)
        border = len(line) if border < 0 else border
        # The blanks before a cell may be all that there is of it.
        text = line[start:border].rstrip(_BLANKS)
        return LineCell(text, start, start + len(text), border)
    end = line.find('"', start + 1)
    while end >= 0 and line[end + 1 : end + 2] == '"':
        end = line.find('"', end + 2)
    end = len(line) if end < 0 else end
    border = line.find(",", end)
    return LineCell(line[start + 1 : end], start + 1, end, len(line) if border < 0 else border)

"""Completions in files of rows."""

from __future__ import annotations

from app.policy.editing.condition_names import condition_suggestions, typed_before
from app.policy.editing.line_cells import CONDITION, LineCell, cell_at, cells_of, word_at
from app.policy.editing.names import PolicyNames
from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import TextCursor
from app.policy.editing.suggestions import Suggestion, actions, added_grants, grants, resources
from app.policy.language.source import END

_KINDS = (
    Suggestion("p, ", "keyword", "p, needs, resource, action, effect[, condition]"),
    Suggestion("g, ", "keyword", "g, member, grant"),
    Suggestion(END, "keyword", "the last line of a file"),
)
_EFFECTS = (
    Suggestion("allow", "value", "allow what the row names to holders of what it needs"),
    Suggestion("deny", "value", "deny it to them, whatever other rows allow"),
)


def row_suggestions(names: PolicyNames, cursor: TextCursor) -> CompletionPlace | None:
    """What fits at a position of a row; None in comments, and behind the last cell."""
    cells = cells_of(cursor.text)
    if not cells:
        return CompletionPlace(0, len(cursor.text), _KINDS) if not cursor.text.strip() else None
    index = cell_at(cells, cursor.offset)
    if index is None:
        return None
    if index == 0:
        return CompletionPlace(cells[0].start, cells[0].end, _KINDS)
    if cells[0].text == "g":
        return _in_membership(names, cells, index)
    return _in_rule(names, cells, index, cursor) if cells[0].text == "p" else None


def _in_membership(names: PolicyNames, cells: tuple[LineCell, ...], index: int) -> CompletionPlace | None:
    cell = cells[index]
    if index == 1:
        return CompletionPlace(cell.start, cell.end, grants(names))
    return CompletionPlace(cell.start, cell.end, added_grants(names, cells[1].text)) if index == 2 else None


def _in_rule(names: PolicyNames, cells: tuple[LineCell, ...], index: int, cursor: TextCursor) -> CompletionPlace | None:
    cell = cells[index]
    if index == 1:
        start, end = word_at(cell, cursor.offset, " ")
        return CompletionPlace(start, end, grants(names, held=_others(cell, start, end, " ")))
    if index == 2:
        return CompletionPlace(cell.start, cell.end, resources(names))
    if index == 3:
        start, end = word_at(cell, cursor.offset, "|")
        chosen = _others(cell, start, end, "|")
        return CompletionPlace(start, end, actions(names, cells[2].text, chosen=chosen))
    if index < CONDITION:
        return CompletionPlace(cell.start, cell.end, _EFFECTS)
    before = cursor.text[cells[CONDITION].start : cursor.offset]
    start = cursor.offset - len(typed_before(before))
    return CompletionPlace(start, cursor.offset, condition_suggestions(names, before, cells[2].text))


def _others(cell: LineCell, start: int, end: int, separator: str) -> list[str]:
    """The words of a cell without the one between these indexes of the line."""
    rest = cell.text[: start - cell.start] + cell.text[end - cell.start :]
    return [word for word in rest.split(separator) if word]

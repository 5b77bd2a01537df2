"""Renames a role in all files of a policy: rows, conditions about permissions, and cases."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from app.policy.editing.line_cells import cells_of, condition_start
from app.policy.editing.position import Span, TextChange, cursor_at, replaced
from app.policy.editing.words import PolicyWord, word_of

_ROLE = re.compile(r"role:[a-z][a-z0-9_-]*")
# As a grant by itself: not the end of `org-role:editor`, nor the beginning of a longer name.
_ANY_ROLE = re.compile(r"(?<![\w:.-])role:[a-z][a-z0-9_-]*(?![\w:.-])")
# A condition compares grants only here; other texts in it may look like a role, such as those of a claim.
_GRANTS = "subject.permissions"
_NAME_OF_CASE = re.compile(r" *(?:- *)?name:")


class NotRenamed(Exception):
    """The role cannot be renamed so; the message says why."""


def role_at(sources: Mapping[str, str], file: str, line: int, column: int) -> PolicyWord | None:
    """The role at a position; None where there is none that can be renamed."""
    cursor = cursor_at(sources, file, line, column)
    word = word_of(cursor) if cursor else None
    if word is None or word.kind != "grant":
        return None
    return word if word.span in _places(sources, word.text) else None


def rename(sources: Mapping[str, str], file: str, line: int, column: int, new_name: str) -> tuple[TextChange, ...]:
    """The changes that rename the role at a position, with or without `role:` in the new name.

    Raises NotRenamed. The new name must not be that of another role, since its members would gain the grants of both.
    """
    old = role_at(sources, file, line, column)
    if old is None:
        raise NotRenamed("only a role can be renamed: place the cursor on one, such as `role:editor`")
    new = new_name if new_name.startswith("role:") else f"role:{new_name}"
    if not _ROLE.fullmatch(new):
        raise NotRenamed(
            f"`{new}` is not a role: its name has lower-case letters, digits, `_` and `-`, as `role:editor`"
        )
    if new == old.text:
        return ()
    if any(True for _ in _places(sources, new)):
        raise NotRenamed(f"`{new}` exists already: its members would gain what `{old.text}` holds")
    return tuple(replaced(place, new) for place in _places(sources, old.text))


def _places(sources: Mapping[str, str], role: str) -> Iterator[Span]:
    for file in sorted(sources):
        if role in sources[file]:
            if file.endswith(".csv"):
                yield from _in_rows(file, sources[file], role)
            elif file.startswith("tests/"):
                yield from _in_cases(file, sources[file], role)


def _in_rows(file: str, text: str, role: str) -> Iterator[Span]:
    for number, line in enumerate(text.split("\n"), 1):
        cells = cells_of(line.removesuffix("\r")) if role in line else ()
        if not cells:
            continue
        condition = condition_start(cells)
        grants = [(cell.start, cell.end) for cell in cells[1 : 2 if cells[0].text == "p" else 3]]
        if condition is not None and _GRANTS in line[condition:]:
            grants.append((condition, len(line)))
        for start, end in grants:
            yield from (Span(file, number, *span) for span in _columns(line, role, start, end))


def _in_cases(file: str, text: str, role: str) -> Iterator[Span]:
    for number, line in enumerate(text.split("\n"), 1):
        if role in line and not line.lstrip().startswith("#") and not _NAME_OF_CASE.match(line):
            yield from (Span(file, number, *span) for span in _columns(line, role, 0, len(line)))


def _columns(line: str, role: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    for found in _ANY_ROLE.finditer(line, start, end):
        if found[0] == role:
            yield found.start() + 1, found.end() + 1

"""The fixes of faults and findings that need no decision by the policy's author, or offer it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from app.policy.analysis.tidy import add_end_lines
from app.policy.editing.names import read_catalog
from app.policy.editing.position import Span, TextChange, deleted_line, inserted_line, line_of, replaced
from app.policy.language import permissions
from app.policy.language.fault import Fault
from app.policy.language.source import END, PolicySource

_SUGGESTED = re.compile(r"`([^`]+)`")
_MISSING_ROW = re.compile(r"`(p, <grants[^`]*)`")
_PERMISSION = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_DID_YOU_MEAN = "did you mean "
# Findings about a row that can be deleted without a change of any verdict.
_NEEDLESS = {"duplicate-row": True, "shadowed-row": False}


@dataclass(frozen=True, slots=True)
class Fix:
    """A named change of texts. `is_preferred`: it is the one correction, as `authz policy check --fix` makes it."""

    title: str
    changes: tuple[TextChange, ...]
    is_preferred: bool = False


def fixes(sources: Mapping[str, str], fault: Fault) -> tuple[Fix, ...]:
    """The fixes of a fault or finding of these texts; none if its author must decide."""
    text = line_of(sources, fault.file, fault.line)
    return () if text is None else tuple(each for find in _FINDERS for each in find(sources, fault, text))


def _corrections(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    """Each word that the hint suggests, in place of the one at fault."""
    if fault.hint.startswith(_DID_YOU_MEAN):
        question = fault.hint.partition("?")[0]
        suggested = _SUGGESTED.findall(question)
        span = Span(fault.file, fault.line, fault.column, fault.column + fault.length)
        for word in suggested:
            yield Fix(f"Write `{word}`", (replaced(span, word),), is_preferred=len(suggested) == 1)


def _end_line(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    if fault.code == "cut-short":
        changed = add_end_lines(PolicySource({fault.file: sources[fault.file]}, "", (fault,)))
        changes = tuple(rewritten_file(sources, file, ended) for file, ended in changed.items())
        yield Fix(f"End the file with `{END}`; look first whether rows are missing", changes)
    elif fault.code == "early-end":
        yield Fix("Delete this line", (deleted_line(fault.file, fault.line),), is_preferred=True)


def _needless_rows(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    if fault.code in _NEEDLESS:
        change = deleted_line(fault.file, fault.line)
        yield Fix("Delete this row", (change,), is_preferred=_NEEDLESS[fault.code])


def _comments(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    """Move a comment behind a row to a line above it."""
    start = fault.column - 1
    comment = text[start:].strip()
    if fault.code == "trailing-comment" and comment.startswith("#"):
        row = text[:start].rstrip().rstrip(",").rstrip()
        line = Span(fault.file, fault.line, 1, len(text) + 1)
        if not row:
            yield Fix("Remove the blanks before the comment", (replaced(line, comment),), is_preferred=True)
            return
        yield Fix("Move the comment above the row", (replaced(line, f"{comment}\n{row}"),), is_preferred=True)


def _byte_order_mark(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    if fault.code == "unseen-character" and fault.line == 1 and text.startswith("\ufeff"):
        mark = Span(fault.file, 1, 1, 2)
        yield Fix("Remove the byte order mark", (replaced(mark, ""),), is_preferred=True)


def _missing_rows(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    """The rows that a route lacks, with `<grants>` for the author to replace."""
    rows = _MISSING_ROW.findall(fault.hint)
    if rows and fault.file.endswith(".csv"):
        change = inserted_line(fault.file, fault.line, "\n".join(rows))
        yield Fix("Add a row, with the grants still to be written", (change,))


def _new_permissions(sources: Mapping[str, str], fault: Fault, text: str) -> Iterator[Fix]:
    """Add an unknown permission to the catalogue."""
    word = text[fault.column - 1 : fault.column - 1 + fault.length]
    if fault.code != "unknown-grant" or not _PERMISSION.fullmatch(word) or word in read_catalog(sources):
        return
    if permissions.FILE in sources and not permissions.is_reserved(word):
        lines = sources[permissions.FILE].split("\n")
        last = len(lines) - 1 if lines[-1] == "" else len(lines)
        if lines[last - 1 : last] == [END]:
            last -= 1
        entry = f'\n["{word}"]\ntitle = "{word}"\ngrants = "…"'
        yield Fix(f"Add `{word}` to {permissions.FILE}", (inserted_line(permissions.FILE, last + 1, entry),))


_FINDERS: tuple[Callable[[Mapping[str, str], Fault, str], Iterator[Fix]], ...] = (
    _corrections,
    _end_line,
    _needless_rows,
    _comments,
    _byte_order_mark,
    _missing_rows,
    _new_permissions,
)


def rewritten_file(sources: Mapping[str, str], file: str, text: str) -> TextChange:
    """The change that replaces the differing lines of a file."""
    old, new = sources[file].split("\n"), text.split("\n")
    shorter = min(len(old), len(new))
    last = next((count for count in range(shorter) if old[-1 - count] != new[-1 - count]), shorter)
    first = next((index for index in range(shorter - last) if old[index] != new[index]), shorter - last)
    # Whole lines, except at the end of the file, where there is no next line.
    if last:
        body = "".join(f"{line}\n" for line in new[first : len(new) - last])
        return TextChange(file, first + 1, 1, len(old) - last + 1, 1, body)
    end = len(old[-1].removesuffix("\r")) + 1
    if first in (len(old), len(new)):  # lines are added or removed behind the last common one
        added = "".join(f"\n{line}" for line in new[first:])
        return TextChange(file, first, len(old[first - 1]) + 1, len(old), end, added)
    return TextChange(file, first + 1, 1, len(old), end, "\n".join(new[first:]))

"""Completions in the cases of `tests/*.yaml`, which are read line by line since they may be half written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from app.policy.editing.names import PolicyNames
from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import TextCursor
from app.policy.editing.suggestions import Suggestion, grants, requests
from app.policy.language.when.shape import SCHEMA
from app.policy.routing.routes import METHODS

_MAX_ABOVE = 2_000  # lines above a position that are read
_KEYS = {
    "name": "what the case is about",
    "as": "the caller, or several: auth:jwt catalog:read",
    "given": "what a request would bring, for conditions",
    "allow": "the requests that must be allowed",
    "deny": "the requests that must be denied",
    "table": "a verdict for each caller and request",
}
_ENTRY = re.compile(r"(?P<lead> *(?:- *)?)(?P<key>[A-Za-z_]+):(?: (?P<value>.*))?$")
_BORDER = re.compile(r"[\s,\[\]\"']")
_KEY = re.compile(r" *(?:- *)?[a-z]*\Z")
_LACKS = "lacks "


def case_suggestions(names: PolicyNames, text: str, cursor: TextCursor) -> CompletionPlace | None:
    """What fits at a position of a file of cases; None if that is not known."""
    before = cursor.text[: cursor.offset]
    if before.lstrip().startswith("#"):
        return None
    entry = _ENTRY.match(before)
    section = _section(text.split("\n")[max(cursor.line - 1 - _MAX_ABOVE, 0) : cursor.line], cursor.text)
    if section == "as" or (entry and entry["key"] == "as" and section != "given"):
        return _word(cursor, grants(names)) if ":" in before or "-" in before else None
    if section in ("allow", "deny", "table"):
        return _in_request(names, cursor, section)
    if entry and entry["key"] in ("allow", "deny"):
        return _in_request(names, cursor, entry["key"], len(before) - len(entry["value"] or ""))
    if not _KEY.match(before):
        return None
    if section == "given":
        found = (Suggestion(f"{name}:", "field", field.meaning) for name, field in SCHEMA.items())
        return _word(cursor, found)
    if section in SCHEMA:
        fields = SCHEMA[section].kind.fields or {}
        return _word(cursor, (Suggestion(f"{name}: ", "field", field.meaning) for name, field in fields.items()))
    if section == "cases":
        return _word(cursor, (Suggestion(f"{key}: ", "keyword", what) for key, what in _KEYS.items()))
    return _word(cursor, (Suggestion("cases:", "keyword", "the list of cases"),)) if not section else None


def _section(above: list[str], line: str) -> str:
    """The key that the line is below; empty at the top of the file. The line may be the last of those above."""
    lead = len(line) - len(line.lstrip(" "))
    is_item = line.lstrip(" ").startswith("-")
    for other in reversed(above):
        entry = _ENTRY.match(other.rstrip("\r"))
        if entry is None:
            continue
        column = len(entry["lead"])
        is_above = column < lead or (is_item and column == lead)
        if is_above and not (entry["value"] or "").strip():
            return entry["key"]
        if column <= lead:
            # The line is beside this key: what it is below is further up, with less indentation.
            lead = min(lead, len(entry["lead"]) - len(entry["lead"].lstrip(" ")))
            is_item = "-" in entry["lead"]
    return ""


def _word(cursor: TextCursor, suggestions: Iterable[Suggestion]) -> CompletionPlace:
    """The place of the word before the cursor, and of the rest of it after the cursor."""
    before, after = cursor.text[: cursor.offset], cursor.text[cursor.offset :]
    typed, rest = _BORDER.split(before)[-1], _BORDER.split(after)[0]
    return CompletionPlace(cursor.offset - len(typed), cursor.offset + len(rest), suggestions)


def _in_request(
    names: PolicyNames, cursor: TextCursor, section: str, start: int | None = None
) -> CompletionPlace | None:
    """A request, as in `GET|HEAD /api/v1/teams/7: catalog.csv`: its methods, its path, or what is expected of it."""
    if start is None:
        start = len(cursor.text) - len(cursor.text.lstrip(" -\"'"))
    if cursor.offset < start:
        return None
    written = cursor.text[start : cursor.offset]
    request, colon, _ = written.partition(": ")
    if colon:
        return _in_expectation(names, cursor, section, start + len(request) + len(colon))
    methods, blank, _ = written.partition(" ")
    if not blank:
        first = start + methods.rfind("|") + 1
        chosen = methods.split("|")[:-1]
        found = (Suggestion(method, "action") for method in METHODS if method not in chosen)
        return CompletionPlace(first, cursor.offset, found)
    place = _word(cursor, requests(names.table, methods.split("|")))
    is_key = cursor.text[cursor.offset : place.end].endswith(":")
    return CompletionPlace(start + len(methods) + 1, place.end - is_key, place.suggestions)


def _in_expectation(names: PolicyNames, cursor: TextCursor, section: str, start: int) -> CompletionPlace | None:
    written = cursor.text[start : cursor.offset]
    if section == "table":
        typed = written.rpartition("|")[2].lstrip(" \"'")
        values = ("allow", "deny", "-")
        found = (Suggestion(value, "value") for value in values)
        return CompletionPlace(cursor.offset - len(typed), cursor.offset, found)
    if written.startswith(_LACKS):
        held = written.removeprefix(_LACKS).split(" ")[:-1]
        return _word(cursor, grants(names, held=held))
    return CompletionPlace(start, cursor.offset, _reasons(names, section))


def _reasons(names: PolicyNames, section: str) -> Iterator[Suggestion]:
    if section == "deny":
        yield Suggestion(_LACKS, "keyword", "the grants that are missing")
    yield from (Suggestion(file, "file", "a row of this file decides") for file in names.row_files)

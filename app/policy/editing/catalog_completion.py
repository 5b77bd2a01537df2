"""Completions in the catalogue of permissions."""

from __future__ import annotations

import re

from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import TextCursor
from app.policy.editing.suggestions import Suggestion

_KEYS = {
    "title": ('title = "', "a name for people, on one line"),
    "grants": ('grants = "', "what holders may do, on one line"),
    "deprecated": ("deprecated = true", "warn of rows that still name it"),
}
_KEY = re.compile(r"[a-z]*\Z")
_WRITTEN = re.compile(r"^[ \t]*([a-z]+)[ \t]*=", re.MULTILINE)


def catalog_suggestions(text: str, cursor: TextCursor) -> CompletionPlace | None:
    """The keys that the table of a permission lacks, where a key can be; None elsewhere."""
    if not _KEY.match(cursor.text.strip()):
        return None
    lines = text.split("\n")
    before, after = lines[: cursor.line - 1], lines[cursor.line :]
    start = next((index for index in range(len(before) - 1, -1, -1) if before[index].lstrip().startswith("[")), None)
    if start is None:
        return None
    end = next((index for index, line in enumerate(after) if line.lstrip().startswith("[")), len(after))
    written = _WRITTEN.findall("\n".join([*before[start:], *after[:end]]))
    first = len(cursor.text) - len(cursor.text.lstrip())
    found = [Suggestion(value, "keyword", what) for key, (value, what) in _KEYS.items() if key not in written]
    return CompletionPlace(first, len(cursor.text), found)

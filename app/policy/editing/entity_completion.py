"""Completions in the entities of `entities/*.yaml`, which are read line by line since they may be half written."""

from __future__ import annotations

import re
from collections.abc import Iterator

from app.policy.editing.names import PolicyNames
from app.policy.editing.place import CompletionPlace
from app.policy.editing.position import TextCursor
from app.policy.editing.suggestions import Suggestion

_LISTS = {"subjects": "who asks: users and keys", "resources": "what is asked about"}
_KEYS = {
    "type": "a word, such as `user` or `record`",
    "id": "the id, such as `record-1`",
    "properties": "attributes, which conditions read",
}
_LIST = re.compile(r"([a-z]+):[ \t\r]*(?:#.*)?\Z")
_KEY = re.compile(r"[ \t]*(?P<dash>-[ \t]+)?(?P<key>[a-z]*)\Z")
_TYPE = re.compile(r"[ \t]*(?:-[ \t]+)?(?:\{[ \t]*)?type:[ \t]+(?P<type>[A-Za-z0-9_.-]*)\Z")
_ENTRY = re.compile(r"[ \t]*(?:-[ \t]+)?([a-z]+):")


def entity_suggestions(names: PolicyNames, text: str, cursor: TextCursor) -> CompletionPlace | None:
    """The lists at the beginning of a line, the keys that an entity lacks, and types; None elsewhere."""
    before = cursor.text[: cursor.offset]
    lines = text.split("\n")[: cursor.line - 1]
    lists = [found[1] for line in lines if (found := _LIST.match(line))]
    if at := _TYPE.match(before):
        return CompletionPlace(at.start("type"), cursor.offset, _types(names, lists[-1:]))
    key = _KEY.match(before)
    if not key:
        return None
    if before.strip() == before and not key["dash"]:
        missing = (Suggestion(f"{name}:", "keyword", what) for name, what in _LISTS.items() if name not in lists)
        return CompletionPlace(0, cursor.offset, missing)
    written = set() if key["dash"] else set(_above(lines, len(before) - len(before.lstrip())))
    lacking = (Suggestion(f"{name}: ", "keyword", what) for name, what in _KEYS.items() if name not in written)
    return CompletionPlace(key.start("key"), cursor.offset, lacking) if lists else None


def _types(names: PolicyNames, within: list[str]) -> Iterator[Suggestion]:
    if within == ["subjects"]:
        yield from (Suggestion(word, "value") for word in ("user", "key"))
        return
    yield from (Suggestion(word, "thing") for word in dict.fromkeys(name.partition(":")[0] for name in names.things))


def _above(lines: list[str], indent: int) -> Iterator[str]:
    """The keys of the same entity above a line."""
    for line in reversed(lines):
        text = line.lstrip()
        lead = len(line) - len(text)
        if not text or lead > indent:
            continue
        is_first = text.startswith("-")
        if lead < indent and not is_first:
            return
        if found := _ENTRY.match(line):
            yield found[1]
        if is_first:
            return

"""Parses YAML from its events; parts of a document that are not needed are skipped without creating objects."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from app.policy.language.openapi.tree import (
    MAX_DEPTH,
    MAX_MERGED,
    Branch,
    Compaction,
    Mode,
    Unreadable,
    Value,
    below,
    duplicate_key,
    too_deep,
)
from app.policy.language.source import shown

# libyaml is about twenty times faster; without it, PyYAML's own parser produces the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"


def read_yaml(text: str, mode: Mode) -> Value:
    """Parse the parts of a text that `mode` selects. Raises Unreadable."""
    try:
        return _YamlReader(text).document(mode)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise Unreadable(f"not YAML: {error.problem or error.context}", line=line) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"not YAML: {type(error).__name__}") from None


class _YamlReader:
    """Parses one text.

    An alias refers to the value of its anchor, which is never copied, so that no document expands. Only merges copy
    keys, and their number is limited.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))
        self._compaction = Compaction()
        self._anchored: dict[str, Value] = {}
        self._merged = 0

    def document(self, mode: Mode) -> Value:
        next(self._events)
        if isinstance(next(self._events), yaml.StreamEndEvent):
            return None
        found = self._value(next(self._events), mode, 1)
        next(self._events)
        if not isinstance(event := next(self._events), yaml.StreamEndEvent):
            raise Unreadable("a second document starts here", "write one document in each file", _line(event))
        return found

    def _value(self, event: yaml.Event, mode: Mode, depth: int) -> Value:
        """Parse the value that starts with an event. A value with an anchor is parsed completely, for any alias."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise Unreadable(f"`*{shown(str(event.anchor))}` refers to no anchor before it", line=_line(event))
            return self._anchored[event.anchor]
        anchor = getattr(event, "anchor", None)
        found: Value = None
        if mode is Mode.NOTHING and not anchor:
            self._skip(event, depth)
            return None
        within = Mode.ALL if anchor else mode
        if isinstance(event, yaml.ScalarEvent):
            found = str(event.value)
        elif depth > MAX_DEPTH:
            raise too_deep()
        elif isinstance(event, yaml.SequenceStartEvent):
            found = list(self._items(within, depth))
        else:
            found = self._mapping(_line(event), within, depth)
        if anchor:
            self._anchored[anchor] = found
        return None if mode is Mode.NOTHING else found

    def _items(self, mode: Mode, depth: int) -> Iterator[Value]:
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            yield self._value(event, mode, depth + 1)

    def _mapping(self, line: int, mode: Mode, depth: int) -> Branch:
        found = Branch(line=line)
        merges: list[Value] = []
        known, others = below(mode)
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable("a key must be a text", line=line)
            key = str(event.value)
            if key == _MERGE and not event.style:
                merges.append(self._value(next(self._events), mode, depth + 1))
                continue
            if key in found.lines:
                raise duplicate_key(shown(key), line)
            found.lines[key] = line
            found.entries[key] = self._value(next(self._events), known.get(key, others), depth + 1)
        for merge in merges:
            self._merge(found, merge, line)
        return self._compaction.compacted(found, mode)

    def _merge(self, into: Branch, merge: Value, line: int) -> None:
        """Add the keys of other mappings that a mapping lacks; the first of several mappings takes precedence."""
        for other in merge if isinstance(merge, list) else [merge]:
            if not isinstance(other, Branch):
                raise Unreadable(
                    "`<<` merges something that is not a mapping", "use a mapping, or a list of mappings", line
                )
            self._merged += len(other.entries)
            if self._merged > MAX_MERGED:
                raise Unreadable(f"merges copy more than {MAX_MERGED} keys", "write them out", line)
            for key, value in other.entries.items():
                if key not in into.entries:
                    into.lines[key] = other.line_of(key)
                    into.entries[key] = value

    def _skip(self, event: yaml.Event, depth: int) -> None:
        """Skip a value, except parts of it that have an anchor."""
        start = depth
        while True:
            if isinstance(event, yaml.CollectionStartEvent):
                if event.anchor and depth > start:
                    self._value(event, Mode.ALL, depth)
                else:
                    depth += 1
                    if depth > MAX_DEPTH:
                        raise too_deep()
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
            elif isinstance(event, yaml.ScalarEvent) and event.anchor:
                self._anchored[event.anchor] = str(event.value)
            if depth == start:
                return
            event = next(self._events)


def _line(event: yaml.Event) -> int:
    return event.start_mark.line + 1 if event.start_mark else 0

"""Reads YAML by its events: what is not read of a document is passed over, and makes no object."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from app.policy.language.openapi.tree import (
    MAX_DEPTH,
    MAX_MERGED,
    Branch,
    Mode,
    Unreadable,
    Value,
    below,
    too_deep,
    twice,
)
from app.policy.language.source import shown

# libyaml is some twenty times faster; where it was not compiled in, PyYAML's own parser gives the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MERGE = "<<"


def read_yaml(text: str, mode: Mode) -> Value:
    """What is read of a text. Raises Unreadable."""
    try:
        return _YamlReader(text).document(mode)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 0
        raise Unreadable(f"not YAML: {error.problem or error.context}", line=line) from None
    except yaml.YAMLError as error:
        raise Unreadable(f"not YAML: {type(error).__name__}") from None


class _YamlReader:
    """Reads one text.

    An alias stands for the value of its anchor itself, which is never copied: no document grows by being read. Only
    a merge copies, keys alone, and their number is bounded.
    """

    def __init__(self, text: str) -> None:
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))
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
        """The value that starts with an event. What has an anchor is read as a whole, since it may stand anywhere."""
        if isinstance(event, yaml.AliasEvent):
            if event.anchor not in self._anchored:
                raise Unreadable(f"`*{shown(str(event.anchor))}` stands for nothing before it", line=_line(event))
            return self._anchored[event.anchor]
        anchor = getattr(event, "anchor", None)
        found: Value = None
        if mode is Mode.NOTHING and not anchor:
            self._pass(event, depth)
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
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            line = _line(event)
            if not isinstance(event, yaml.ScalarEvent):
                raise Unreadable("a key is a text", line=line)
            key = str(event.value)
            if key == _MERGE and not event.style:
                merges.append(self._value(next(self._events), mode, depth + 1))
                continue
            if key in found.lines:
                raise twice(shown(key), line)
            found.lines[key] = line
            found.entries[key] = self._value(next(self._events), below(mode, key), depth + 1)
        for merge in merges:
            self._merge(found, merge, line)
        return found

    def _merge(self, into: Branch, merge: Value, line: int) -> None:
        """The keys of other mappings that a mapping does not have itself; of several the first one counts."""
        for other in merge if isinstance(merge, list) else [merge]:
            if not isinstance(other, Branch):
                raise Unreadable("`<<` merges what is no mapping", "name a mapping, or a list of them", line)
            self._merged += len(other.entries)
            if self._merged > MAX_MERGED:
                raise Unreadable(f"merges copy more than {MAX_MERGED} keys", "write them out", line)
            for key, value in other.entries.items():
                if key not in into.lines:
                    into.lines[key] = other.lines[key]
                    into.entries[key] = value

    def _pass(self, event: yaml.Event, depth: int) -> None:
        """Pass over a value that is not read, but for what has an anchor in it."""
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

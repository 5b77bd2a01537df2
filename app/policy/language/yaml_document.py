"""Parses a strict subset of YAML, with places; texts that YAML parsers read differently are refused.

No anchors, no tags, one document, unique keys, and no plain word that YAML 1.1 does not read as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import yaml

from app.policy.language.fault import Fault

MAX_CHARACTERS = 256 * 1024
MAX_DEPTH = 12
MAX_FAULTS = 100

_WORDS: dict[str, bool | None] = {"true": True, "false": False, "null": None, "": None}
_INTEGER = re.compile(r"-?(0|[1-9][0-9]{0,17})")
_DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,17})\.[0-9]{1,17}")
# libyaml is about twenty times faster; without it, PyYAML's own parser produces the same events.
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass(frozen=True, slots=True)
class Leaf:
    """A text, number, true, false or null with its place; lines and columns count from 1."""

    value: str | int | float | bool | None
    line: int
    column: int
    length: int


@dataclass(frozen=True, slots=True)
class ListNode:
    """A list with its place."""

    items: tuple[Node, ...]
    line: int
    column: int
    length: int = 1


@dataclass(frozen=True, slots=True)
class Entries:
    """A mapping with its place, in file order."""

    entries: tuple[tuple[Leaf, Node], ...]
    line: int
    column: int
    length: int = 1


Node = Leaf | ListNode | Entries


def plain(node: Node) -> object:
    """The value of a node without its places."""
    if isinstance(node, Leaf):
        return node.value
    if isinstance(node, ListNode):
        return [plain(item) for item in node.items]
    return {str(key.value): plain(value) for key, value in node.entries}


def unquoted(text: str) -> str | int | float | bool | None:
    """The value of a plain scalar. Raises ValueError for one that YAML parsers read differently."""
    if text in _WORDS:
        return _WORDS[text]
    if _INTEGER.fullmatch(text):
        return int(text)
    if _DECIMAL.fullmatch(text):
        return float(text)
    if not _is_text(text):
        raise ValueError(f"`{text}` is a text to some YAML parsers and another value to others")
    return text


class _Malformed(Exception):
    """The rest of the text cannot be parsed."""


def read_document(file: str, text: str, faults: list[Fault]) -> Node | None:
    """Parse the single document of a text; None if that fails, with the reason in `faults`."""
    if len(text) > MAX_CHARACTERS:
        message = f"the file has {len(text)} characters, the limit is {MAX_CHARACTERS}"
        faults.append(Fault.of_file("yaml", file, message, "split it into several files"))
        return None
    try:
        return _DocumentReader(file, text, faults).document()
    except _Malformed:
        return None


class _DocumentReader:
    def __init__(self, file: str, text: str, faults: list[Fault]) -> None:
        self._file = file
        self._lines = text.split("\n")
        self._faults = faults
        self._count = 0
        self._events: Iterator[yaml.Event] = iter(yaml.parse(text, Loader=_LOADER))

    def document(self) -> Node | None:
        self._next()
        event = self._next()
        if isinstance(event, yaml.StreamEndEvent):
            return None
        root = self._node(self._next(), 1)
        self._next()
        event = self._next()
        if not isinstance(event, yaml.StreamEndEvent):
            self._refuse(event, "a second document starts here", "write one document in each file")
        return root

    def _next(self) -> yaml.Event:
        try:
            return next(self._events)
        except yaml.YAMLError as error:
            mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
            line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
            problem = getattr(error, "problem", None) or getattr(error, "reason", "it cannot be read")
            hint = "indent with spaces" if "\t" in self._line(line) else ""
            self._add("yaml", (line, column), 1, f"not YAML: {problem}", hint)
            raise _Malformed from error

    def _node(self, event: yaml.Event, depth: int) -> Node:
        if depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} levels deep", "")
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse(event, "anchors and aliases are not supported", "write the value out")
        if getattr(event, "tag", None):
            self._refuse(event, "tags are not supported", "delete the tag; put a text in quotes")
        line, column = _place(event)
        if isinstance(event, yaml.ScalarEvent):
            return self._leaf(event, line, column)
        if isinstance(event, yaml.SequenceStartEvent):
            return ListNode(tuple(self._items(depth)), line, column)
        return Entries(self._entries(depth), line, column)

    def _items(self, depth: int) -> Iterator[Node]:
        while not isinstance(event := self._next(), yaml.SequenceEndEvent):
            yield self._node(event, depth + 1)

    def _entries(self, depth: int) -> tuple[tuple[Leaf, Node], ...]:
        entries: dict[object, tuple[Leaf, Node]] = {}
        while not isinstance(event := self._next(), yaml.MappingEndEvent):
            key = self._node(event, depth + 1)
            if not isinstance(key, Leaf) or not isinstance(key.value, str):
                self._refuse(event, "a key must be a text", "put it in quotes if it is one")
            if key.value in entries:
                first = entries[key.value][0].line
                message = f"`{key.value}` is repeated, first on line {first}"
                self._add("duplicate-key", (key.line, key.column), key.length, message, "delete one of them")
            entries[key.value] = (key, self._node(self._next(), depth + 1))
        return tuple(entries.values())

    def _leaf(self, event: yaml.ScalarEvent, line: int, column: int) -> Leaf:
        end = event.end_mark
        length = max(end.column + 1 - column, 1) if end and end.line + 1 == line else 1
        text = event.value
        if event.style:  # quoted, or a block
            return Leaf(text, line, column, length)
        try:
            return Leaf(unquoted(text), line, column, length)
        except ValueError as error:
            hint = "put a text in quotes, write true or false, 7 or 0.5"
            self._add("yaml", (line, column), length, str(error), hint)
            return Leaf(text, line, column, length)

    def _refuse(self, event: yaml.Event, message: str, hint: str) -> NoReturn:
        self._add("yaml", _place(event), 1, message, hint)
        raise _Malformed

    def _add(self, code: str, place: tuple[int, int], length: int, message: str, hint: str) -> None:
        line, column = place
        self._faults.append(Fault(code, self._file, line, column, message, hint, length, self._line(line)))
        self._count += 1
        if self._count == MAX_FAULTS:
            self._faults.append(Fault("too-many-faults", self._file, line, 1, "more faults follow; fix these first"))
            raise _Malformed

    def _line(self, number: int) -> str:
        return self._lines[number - 1] if 0 < number <= len(self._lines) else ""


def _place(event: yaml.Event) -> tuple[int, int]:
    """Line and column of an event, from 1; the parser gives every event a mark."""
    mark = event.start_mark
    return (mark.line + 1, mark.column + 1) if mark else (1, 1)


def _is_text(word: str) -> bool:
    """Whether YAML 1.1 reads an unquoted word as text."""
    starts: dict[str | None, list[tuple[str, re.Pattern[str]]]] = yaml.resolver.Resolver.yaml_implicit_resolvers
    return not any(pattern.match(word) for _, pattern in starts.get(word[:1], []))

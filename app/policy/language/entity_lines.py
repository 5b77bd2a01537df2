"""Parses entities as programs write them, one entity or one key on each line, about ten times faster than YAML.

It accepts a subset of YAML with the same meaning. A file outside of that subset, faulty or not, is left to the YAML
parser as a whole.
"""

from __future__ import annotations

import json
import re
from functools import lru_cache

from app.policy.language.source import lines_of
from app.policy.language.yaml_document import MAX_CHARACTERS, MAX_DEPTH, unquoted

# The lists of a file by name; each item has its line and its keys.
Lists = dict[str, list[tuple[int, dict[str, object]]]]

_MAX_CACHED = 10_000  # scalars
# Words without characters that have a meaning in YAML: `#`, quotes, brackets and braces, and a `:` that ends a key.
_WORD = r"\w(?:[\w.@/+-]|:(?=[\w/]))*"
_PLAIN = rf"(?:-(?=[0-9]))?{_WORD}(?: {_WORD})*"
_QUOTED = r"\"[^\"\\]*\"|'[^']*'"
_KEY = r"[A-Za-z_][A-Za-z0-9_-]*"
_HEAD = re.compile(r"(subjects|resources):")
_ITEM = re.compile(r"( *)- (.*)")
_PAIR = re.compile(rf"( *)({_KEY}):(?: (.+))?")
_SCALAR = re.compile(rf"{_PLAIN}|{_QUOTED}")
_TOKEN = re.compile(rf"{_PLAIN}|{_QUOTED}|, |: |[{{}}\[\]]")
_NESTED = MAX_DEPTH - 6  # collections in a value, in an item, in a list


class _OtherStyle(Exception):
    """The file is outside of the plain subset."""


def read_lists(text: str) -> Lists | None:
    """Parse the lists of a file; None if it must be parsed as YAML."""
    if len(text) > MAX_CHARACTERS:
        return None
    try:
        return _EntityReader().lists(text)
    except (_OtherStyle, json.JSONDecodeError):
        return None


class _EntityReader:
    """Parses one file by the indentation of its lines."""

    def __init__(self) -> None:
        self._found: Lists = {}
        self._items: list[tuple[int, dict[str, object]]] | None = None
        self._indent = -1  # of the dashes of this list
        self._item: dict[str, object] | None = None  # while it has more lines
        self._properties: dict[str, object] | None = None
        self._within = -1  # the indentation of its keys
        self._values: list[object] | None = None  # of a key, while they follow on lines
        self._listed = -1  # the indentation of their dashes

    def lists(self, text: str) -> Lists:
        for number, line in enumerate(lines_of(text), 1):
            if not line or line.lstrip(" ").startswith("#"):
                continue
            if (head := _HEAD.fullmatch(line)) is not None:
                self._start(head[1])
            elif (item := _ITEM.fullmatch(line)) is not None:
                self._dash(number, len(item[1]), item[2])
            elif (pair := _PAIR.fullmatch(line)) is not None:
                self._key(len(pair[1]), pair[2], pair[3])
            else:
                raise _OtherStyle
        if not self._found or not all(self._found.values()):
            raise _OtherStyle
        self._end_item()
        return self._found

    def _start(self, name: str) -> None:
        self._end_item()
        if name in self._found:
            raise _OtherStyle
        self._items = self._found[name] = []
        self._indent = -1

    def _dash(self, number: int, indent: int, rest: str) -> None:
        if (values := self._values) is not None and indent >= self._within:
            self._listed_value(values, indent, rest)
            return
        self._end_item()
        if self._items is None or self._indent not in (-1, indent):
            raise _OtherStyle
        self._indent = indent
        if rest.startswith("{"):
            item = _value(rest)
            if not isinstance(item, dict):
                raise _OtherStyle
            self._items.append((number, item))
            return
        pair = _PAIR.fullmatch(rest)
        if pair is None or pair[1]:
            raise _OtherStyle
        self._item = {}
        self._items.append((number, self._item))
        self._key(indent + 2, pair[2], pair[3])

    def _listed_value(self, values: list[object], indent: int, rest: str) -> None:
        """Add an item to the list below a key of the properties."""
        if self._listed not in (-1, indent) or not _SCALAR.fullmatch(rest):
            raise _OtherStyle
        self._listed = indent
        values.append(_scalar(rest))

    def _key(self, indent: int, key: str, value: str | None) -> None:
        if self._item is None or not isinstance(_value(key), str):
            raise _OtherStyle
        if indent == self._indent + 2:
            self._end_properties()
            into, below = self._item, key == "properties"
        elif self._properties is not None and indent > self._indent + 2 and self._within in (-1, indent):
            self._end_values()
            self._within = indent
            into, below = self._properties, True
        else:
            raise _OtherStyle
        if key in into:
            raise _OtherStyle
        if value is not None:
            into[key] = _value(value)
        elif not below:
            raise _OtherStyle
        elif into is self._item:
            into[key] = self._properties = {}
        else:
            into[key] = self._values = []

    def _end_values(self) -> None:
        if self._values is not None and not self._values:
            raise _OtherStyle  # an empty value, which is null in YAML
        self._values, self._listed = None, -1

    def _end_properties(self) -> None:
        self._end_values()
        if self._properties is not None and not self._properties:
            raise _OtherStyle
        self._properties, self._within = None, -1

    def _end_item(self) -> None:
        self._end_properties()
        self._item = None


def _value(text: str) -> object:
    if text[0] not in "{[":
        if not _SCALAR.fullmatch(text):
            raise _OtherStyle
        return _scalar(text)
    tokens = _TOKEN.findall(text)
    if "".join(tokens) != text or tokens.count("{") + tokens.count("[") > _NESTED:
        raise _OtherStyle
    found: object = _decode("".join(map(_json, tokens)))
    return found


def _unique_pairs(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise _OtherStyle
    return found


@lru_cache(_MAX_CACHED)
def _json(token: str) -> str:
    return token if token in _MARKS else json.dumps(_scalar(token))


@lru_cache(_MAX_CACHED)
def _scalar(text: str) -> str | int | float | bool | None:
    if text[0] in "\"'":
        return text[1:-1]
    try:
        return unquoted(text)
    except ValueError:
        raise _OtherStyle from None


_decode = json.JSONDecoder(object_pairs_hook=_unique_pairs).decode
_MARKS = frozenset({"{", "}", "[", "]", ", ", ": "})

"""Parses JSON in pieces, since one call for a large document would block all requests until it returns."""

from __future__ import annotations

import json
import re
from json import JSONDecodeError

from app.policy.language.openapi.tree import (
    MAX_DEPTH,
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

_SPACE = re.compile(r"[ \t\n\r]*")
# The start of a mapping, or what separates its values, and a key without escapes.
_KEY = r'[ \t\n\r]*+"([^"\\\x00-\x1f]*+)"[ \t\n\r]*+:[ \t\n\r]*+'
_FIRST_KEY, _NEXT_KEY = re.compile(r"\{" + _KEY), re.compile(r"[ \t\n\r]*+," + _KEY)
_HALF = re.compile(r"[\ud800-\udfff]")  # an unpaired surrogate, which only an escape can write; no path has it
_PIECES = 4  # levels of skipped values that are parsed in pieces; deeper values are small
_decode = json.JSONDecoder().raw_decode


def read_json(text: str, mode: Mode) -> Value:
    """Parse the parts of a text that `mode` selects. Raises Unreadable."""
    try:
        return _JsonReader(text).document(mode)
    except JSONDecodeError as error:
        raise Unreadable(f"not JSON: {error.msg}", line=error.lineno) from None
    except ValueError as error:  # a number with more digits than Python converts
        raise Unreadable(f"not JSON: {error}") from None
    except RecursionError:
        raise too_deep() from None


class _JsonReader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._compaction = Compaction()
        self._at = self._skip(0)
        self._counted = 0  # characters whose line breaks are counted
        self._line = 1

    def document(self, mode: Mode) -> Value:
        found = self._value(mode, 1)
        if (end := self._skip(self._at)) < len(self._text):
            raise JSONDecodeError("Extra data", self._text, end)
        return found

    def _value(self, mode: Mode, depth: int) -> Value:
        """Parse the value that starts at the current position, and advance to its end."""
        if depth > MAX_DEPTH:
            raise too_deep()
        character = self._text[self._at : self._at + 1]
        if mode is Mode.NOTHING and depth > _PIECES:
            character = ""
        if character == "{":
            return self._mapping(mode, depth)
        if character == "[":
            return self._items(mode, depth)
        if character == '"':
            return self._string(mode)
        value, self._at = _decode(self._text, self._at)
        return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None

    def _string(self, mode: Mode) -> str:
        start = self._at
        value: str
        value, self._at = _decode(self._text, start)
        if mode is not Mode.NOTHING and not value.isascii() and _HALF.search(value):
            raise JSONDecodeError("Half of a surrogate pair", self._text, start)
        return value

    def _mapping(self, mode: Mode, depth: int) -> Branch:
        found = Branch(line=self._line_at(self._at))
        known, others = below(mode)
        first = True
        while (at := self._key(mode, first=first)) is not None:
            first = False
            key, start = at
            line = self._line_at(start)
            if key in found.lines and mode is not Mode.NOTHING:
                raise duplicate_key(shown(key), line)
            found.lines[key] = line
            within = known.get(key, others)
            value = self._value(within, depth + 1)
            if mode is not Mode.NOTHING:
                found.entries[key] = None if within is Mode.NOTHING else value
        return self._compaction.compacted(found, mode)

    def _key(self, mode: Mode, *, first: bool) -> tuple[str, int] | None:
        """Advance to the value of the next key; returns the key and its position, or None at the end."""
        if plain := (_FIRST_KEY if first else _NEXT_KEY).match(self._text, self._at):
            self._at = plain.end()
            return plain[1], plain.start(1) - 1
        if not self._next("{" if first else ",", "}", first=first):
            return None
        start = self._at
        if self._text[start : start + 1] != '"':
            raise JSONDecodeError("Expecting property name enclosed in double quotes", self._text, start)
        key = self._string(mode)
        self._at = self._skip(self._at)
        if self._text[self._at : self._at + 1] != ":":
            raise JSONDecodeError("Expecting ':' delimiter", self._text, self._at)
        self._at = self._skip(self._at + 1)
        return key, start

    def _items(self, mode: Mode, depth: int) -> list[Value]:
        found: list[Value] = []
        first = True
        while self._next("[" if first else ",", "]", first=first):
            first = False
            value = self._value(mode, depth + 1)
            if mode is not Mode.NOTHING:
                found.append(value)
        return found

    def _next(self, before: str, end: str, *, first: bool) -> bool:
        """Advance to the next item of a mapping or list; at its end, advance past it and return False."""
        self._at = self._skip(self._at)
        character = self._text[self._at : self._at + 1]
        if character == end and not first:
            self._at += 1
            return False
        if character != before:
            raise JSONDecodeError("Expecting ',' delimiter", self._text, self._at)
        self._at = self._skip(self._at + 1)
        if first and self._text[self._at : self._at + 1] == end:
            self._at += 1
            return False
        return True

    def _skip(self, at: int) -> int:
        found = _SPACE.match(self._text, at)
        return found.end() if found else at

    def _line_at(self, at: int) -> int:
        """The line of a position that is not before the last one."""
        self._line += self._text.count("\n", self._counted, at)
        self._counted = at
        return self._line

"""Parses the part of regular expressions whose paths can be stated segment by segment.

Groups without repetition become alternatives. Everything else (look-around, references, flags, repeated groups) is
unreadable, so that what a pattern matches is never guessed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import product

MAX_ALTERNATIVES = 64
MAX_DEPTH = 20
_REPEAT = re.compile(r"(?:[*+?]|\{[0-9]*,?[0-9]*\})\??")
_CLASS = re.compile(r"\[\^?\]?(?:\\.|[^\]\\])*\]")
_LITERAL_ESCAPE = re.compile(r"[^A-Za-z0-9]")
_CLASS_ESCAPES = "dws"


class UnreadableRegex(Exception):
    """A regular expression that is beyond this part; the message says why."""


@dataclass(frozen=True, slots=True)
class RegexAtom:
    """One character, a class or a dot, with its repetition. `character` is empty unless it matches only that one."""

    text: str
    character: str
    matches_slash: bool
    repeat: str = ""

    @property
    def source(self) -> str:
        """The regular expression of the atom."""
        return self.text + self.repeat

    @property
    def is_any(self) -> bool:
        """Whether it matches any text: `.*`."""
        return self.text == "." and self.repeat.rstrip("?") == "*"


@dataclass(frozen=True, slots=True)
class AtomSequence:
    """One alternative of an expression, matched from the start; to the end if `is_closed`, else as a prefix."""

    atoms: tuple[RegexAtom, ...]
    is_closed: bool


_End = RegexAtom("$", "", False)


def parse_regex(text: str) -> tuple[AtomSequence, ...]:
    """The alternatives of an expression that Python's `re.match` would try. Raises UnreadableRegex."""
    try:
        re.compile(text)
    except (re.error, OverflowError, RecursionError) as error:
        raise UnreadableRegex(f"it is no regular expression: {error}") from None
    parser = _RegexParser(text)
    return tuple(_sequence(atoms) for atoms in parser.alternatives(0))


def _sequence(atoms: tuple[RegexAtom, ...]) -> AtomSequence:
    is_closed = bool(atoms) and atoms[-1] is _End
    inner = atoms[:-1] if is_closed else atoms
    if any(atom is _End for atom in inner):
        raise UnreadableRegex("it has a `$` before its end")
    return AtomSequence(inner, is_closed)


class _RegexParser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def alternatives(self, depth: int) -> list[tuple[RegexAtom, ...]]:
        """All alternatives up to the end or a closing parenthesis."""
        if depth > MAX_DEPTH:
            raise UnreadableRegex("it is nested too deeply")
        found: list[tuple[RegexAtom, ...]] = []
        while True:
            found += self._branch(depth)
            if len(found) > MAX_ALTERNATIVES:
                raise UnreadableRegex(f"it has more than {MAX_ALTERNATIVES} alternatives")
            if not self._takes("|"):
                return found

    def _branch(self, depth: int) -> list[tuple[RegexAtom, ...]]:
        found: list[tuple[RegexAtom, ...]] = [()]
        is_start = depth == 0
        while self._at < len(self._text) and self._text[self._at] not in "|)":
            if self._takes("^"):
                if not is_start:
                    raise UnreadableRegex("it has a `^` after its start")
                continue
            choices = self._group(depth) if self._text[self._at] == "(" else [(self._atom(),)]
            found = [(*one, *other) for one, other in product(found, choices)]
            if len(found) > MAX_ALTERNATIVES:
                raise UnreadableRegex(f"it has more than {MAX_ALTERNATIVES} alternatives")
            is_start = False
        return found

    def _group(self, depth: int) -> list[tuple[RegexAtom, ...]]:
        self._at += 1
        if self._takes("?") and not self._takes(":"):
            raise UnreadableRegex("it has a group with an extension, such as look-ahead")
        found = self.alternatives(depth + 1)
        self._at += 1  # the parenthesis, which `re.compile` has seen
        repeat = self._repeat()
        if repeat.startswith("?"):
            return [*found, ()]
        if repeat:
            raise UnreadableRegex("it repeats a group")
        return found

    def _atom(self) -> RegexAtom:
        text, start = self._text, self._at
        mark = text[start]
        if mark == "$":
            self._at += 1
            return _End
        if mark == ".":
            self._at += 1
            return RegexAtom(".", "", True, self._repeat())
        if mark == "[":
            found = _CLASS.match(text, start)
            if found is None:
                raise UnreadableRegex("it has a class without end")
            self._at = found.end()
            return RegexAtom(found[0], _only(found[0]), re.fullmatch(found[0], "/") is not None, self._repeat())
        if mark == "\\":
            escaped = text[start + 1]
            self._at += 2
            if escaped in _CLASS_ESCAPES:
                return RegexAtom(f"\\{escaped}", "", False, self._repeat())
            if not _LITERAL_ESCAPE.match(escaped):
                raise UnreadableRegex(f"it has `\\{escaped}`")
            return RegexAtom(re.escape(escaped), escaped, escaped == "/", self._repeat())
        self._at += 1
        return RegexAtom(re.escape(mark), mark, mark == "/", self._repeat())

    def _repeat(self) -> str:
        # A brace that Python takes for text is an atom of its own.
        found = _REPEAT.match(self._text, self._at)
        if found is None or found[0].startswith("{}"):
            return ""
        self._at = found.end()
        if self._takes("+"):
            raise UnreadableRegex("it has a possessive quantifier")
        return found[0]

    def _takes(self, mark: str) -> bool:
        if self._text.startswith(mark, self._at):
            self._at += 1
            return True
        return False


def _only(text: str) -> str:
    """The character of a class of one, such as `[.]`; empty for any other."""
    inner = text[1:-1]
    return inner if len(inner) == 1 and inner not in "^\\" else ""

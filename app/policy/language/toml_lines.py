"""Where the tables and keys of a TOML file are: its parser keeps no places."""

from __future__ import annotations

import re
from bisect import bisect_left

# The first word of a line, in quotes or not, and whether it names a table. No part is tried twice.
_HEAD = re.compile(
    r"""
    ^[ \t]*+ (?P<table> \[ )?+ [ \t]*+
    (?: "(?P<double> [^"\n]++ ) | '(?P<single> [^'\n]++ ) | (?P<bare> [^\s\["'=.\]]++ ) )
    """,
    re.MULTILINE | re.VERBOSE,
)


class TomlLines:
    """The lines of a TOML file, indexed by their first words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._lines = text.split("\n")
        self._tables: dict[str, int] = {}
        self._words: dict[str, list[int]] = {}
        line = start = 0
        for head in _HEAD.finditer(text):
            line += text.count("\n", start, head.start())
            start = head.start()
            word = head["double"] or head["single"] or head["bare"]
            if head["table"]:
                self._tables.setdefault(word, line)
            self._words.setdefault(word, []).append(line)

    def line(self, number: int) -> str:
        """The text of a line, counted from 1."""
        return self._lines[number - 1]

    def find(self, name: str, word: str) -> tuple[int, int]:
        """Line and column, from 1, of a word of the table with this name: at the start of a line, or anywhere."""
        entry = self._tables.get(name)
        lines = self._words.get(word, [])
        position = bisect_left(lines, entry or 0)
        if position < len(lines):
            number = lines[position]
        elif entry is not None:  # spelled with escapes, or on one line with others
            number = entry
        else:
            number = self._text.count("\n", 0, max(self._text.find(word), 0))
        return number + 1, max(self._lines[number].find(word), 0) + 1

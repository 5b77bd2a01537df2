"""The rows of a file's previous text, found by their lines near the place that is parsed."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from heapq import merge

from app.policy.language.rule import Membership, Rule
from app.policy.language.source import lines_of

# Lines before and after the place. All lines of a large file would be in memory beside its old and its new rows.
REACH = 2_000


class NearbyRows:
    """The rows of a text that begins at the line `first` of its file, for a text that replaces it.

    Each of `rows` is in the order of the file.
    """

    def __init__(self, text: str, first: int, *rows: Iterable[Rule | Membership]) -> None:
        self._lines = lines_of(text)
        self._rows = merge(*rows, key=lambda row: row.line)
        self._next = next(self._rows, None)
        self._line = first  # of those that are read next
        self._offset = 0  # by which the last row that was found was further down
        self._found: dict[str, Rule | Membership] = {}
        self._recent: deque[str] = deque()

    def row(self, line: str, number: int) -> Rule | Membership | None:
        """The row of an equal line near the line `number`, which is greater at each call; None if there is none."""
        while self._next is not None and self._line <= number + self._offset + REACH:
            self._read_line()
        row = self._found.get(line)
        if row is not None:
            self._offset = row.line - number
        return row

    def _read_line(self) -> None:
        line = next(self._lines)
        if self._next is not None and self._next.line == self._line:
            self._found[line] = self._next
            self._recent.append(line)
            self._next = next(self._rows, None)
            if len(self._recent) > 2 * REACH:
                self._found.pop(self._recent.popleft(), None)  # of equal lines all go, which are parsed then
        self._line += 1

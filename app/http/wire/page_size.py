"""Pages of rows that may be very large: what is answered is encoded in one go, while all other requests wait."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

PAGE_CHARACTERS = 200_000
_Row = TypeVar("_Row")


def fitting(rows: Sequence[_Row], size_of: Callable[[_Row], int], most: int = PAGE_CHARACTERS) -> Sequence[_Row]:
    """The first rows whose sizes, in characters, make `most` together at most, and one at least."""
    size = 0
    for number, row in enumerate(rows):
        size += size_of(row)
        if size > most and number:
            return rows[:number]
    return rows

"""Limit on the size of a page of rows: encoding a very large response would block the event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

PAGE_CHARACTERS = 200_000
_Row = TypeVar("_Row")


def limit_size(
    rows: Sequence[_Row], size_of: Callable[[_Row], int], max_characters: int = PAGE_CHARACTERS
) -> Sequence[_Row]:
    """The first rows whose total size is at most `max_characters`, and at least one row."""
    size = 0
    for number, row in enumerate(rows):
        size += size_of(row)
        if size > max_characters and number:
            return rows[:number]
    return rows

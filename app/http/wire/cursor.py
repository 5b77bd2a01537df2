"""Cursors: opaque places in a list. A place is an id and a direction, so rows may come and go around it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from app.http.wire.opaque import opaque, read_back

_SPELLING = re.compile(r"([ab])([0-9]{1,19}):(.+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """Rows with an id greater than `after`, or those less than `before` when that is set."""

    after: int = 0
    before: int | None = None


def write_cursor(place: CursorPosition, listing: str) -> str:
    """The cursor of a place in the list at the path `listing`."""
    return opaque(f"a{place.after}:{listing}" if place.before is None else f"b{place.before}:{listing}")


def read_cursor(cursor: str, listing: str) -> CursorPosition:
    """The place. Raises Problem 400 for anything that was not written for this list."""
    return read_back(cursor, _SPELLING, _place, lambda place: write_cursor(place, listing))


def _place(spelled: re.Match[str]) -> CursorPosition:
    row_id = int(spelled[2])
    if row_id >= 2**63:
        raise ValueError
    return CursorPosition(after=row_id) if spelled[1] == "a" else CursorPosition(before=row_id)

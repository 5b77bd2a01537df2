"""Cursors of the decision log: a place is a time and an id, and belongs to the filters that it was written for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from app.db.decisions import LogPosition
from app.http.wire.opaque import opaque, read_back

Side = Literal["older", "newer"]
_SPELLING = re.compile(r"(older|newer) (-?[0-9]{1,19}) ([0-9]{1,19}) [0-9a-f]{16}", re.ASCII)
_BOUND = 2**63


@dataclass(frozen=True, slots=True)
class DecisionsAround:
    """The decisions on one side of a mark."""

    side: Side
    mark: LogPosition


def write_cursor(beside: DecisionsAround, listing: str) -> str:
    """The cursor of a place in the log as `listing` filters it."""
    return opaque(f"{beside.side} {beside.mark.at} {beside.mark.id} {sha256(listing.encode()).hexdigest()[:16]}")


def read_cursor(cursor: str, listing: str) -> DecisionsAround:
    """The place. Raises Problem 400 for anything that was not written for this listing."""
    return read_back(cursor, _SPELLING, _beside, lambda beside: write_cursor(beside, listing))


def _beside(spelled: re.Match[str]) -> DecisionsAround:
    mark = LogPosition(int(spelled[2]), int(spelled[3]))
    if not (-_BOUND <= mark.at < _BOUND and mark.id < _BOUND - 1):
        raise ValueError
    return DecisionsAround("older" if spelled[1] == "older" else "newer", mark)

"""Cursors of the decision log: a place is a time and an id, and belongs to the filters that it was written for."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

from app.db.decisions import Mark
from app.http.problems import Problem

Side = Literal["older", "newer"]
_SPELLING = re.compile(r"(older|newer) (-?[0-9]{1,19}) ([0-9]{1,19}) [0-9a-f]{16}", re.ASCII)
_LONGEST = 120
_BOUND = 2**63


@dataclass(frozen=True, slots=True)
class Beside:
    """The decisions on one side of a mark."""

    side: Side
    mark: Mark


def write_cursor(beside: Beside, listing: str) -> str:
    """The cursor of a place in the log as `listing` filters it."""
    spelled = f"{beside.side} {beside.mark.at} {beside.mark.id} {sha256(listing.encode()).hexdigest()[:16]}"
    return urlsafe_b64encode(spelled.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str, listing: str) -> Beside:
    """The place. Raises Problem 400 for anything that was not written for this listing."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        spelled = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        found = _SPELLING.fullmatch(spelled)
        if found is None:
            raise ValueError
        side: Side = "older" if found[1] == "older" else "newer"
        beside = Beside(side, Mark(int(found[2]), int(found[3])))
        if not (-_BOUND <= beside.mark.at < _BOUND and beside.mark.id < _BOUND - 1):
            raise ValueError
        if write_cursor(beside, listing) != cursor:
            raise ValueError
    except ValueError:
        raise Problem(400, "The cursor is invalid: use `next` or `previous` of this list as they are.") from None
    return beside

"""Cursors: opaque places in a list. A place is an id and a direction, so rows may come and go around it."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass

from app.http.problems import Problem

_SPELLING = re.compile(r"([ab])([0-9]{1,19}):(.+)", re.ASCII)
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class Place:
    """Rows with an id greater than `after`, or those less than `before` when that is set."""

    after: int = 0
    before: int | None = None


def write_cursor(place: Place, listing: str) -> str:
    """The cursor of a place in the list at the path `listing`."""
    spelled = f"a{place.after}:{listing}" if place.before is None else f"b{place.before}:{listing}"
    return urlsafe_b64encode(spelled.encode()).rstrip(b"=").decode()


def read_cursor(cursor: str, listing: str) -> Place:
    """The place. Raises Problem 400 for anything that was not written for this list."""
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        spelled = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        found = _SPELLING.fullmatch(spelled)
        if found is None:
            raise ValueError
        row_id = int(found[2])
        place = Place(after=row_id) if found[1] == "a" else Place(before=row_id)
        if row_id >= 2**63 or write_cursor(place, listing) != cursor:
            raise ValueError
    except ValueError:
        raise Problem(400, "The cursor is invalid: use `next` or `previous` of this list as they are.") from None
    return place

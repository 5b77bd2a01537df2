"""Cursors as callers see them: text that they give back as it is, and that is refused when it is any other."""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from typing import TypeVar

from app.http.wire.problems import Problem

_LONGEST = 200  # characters
_Place = TypeVar("_Place")


def opaque(spelled: str) -> str:
    """The cursor for what is spelled so."""
    return urlsafe_b64encode(spelled.encode()).rstrip(b"=").decode()


def read_back(
    cursor: str, spelling: re.Pattern[str], place_of: Callable[[re.Match[str]], _Place], write: Callable[[_Place], str]
) -> _Place:
    """The place that a cursor stands for, if `write` makes this very cursor of it.

    `place_of` makes a place of what is spelled, or raises ValueError. Raises Problem 400 for any other cursor.
    """
    try:
        if len(cursor) > _LONGEST:
            raise ValueError
        spelled = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        found = spelling.fullmatch(spelled.decode("ascii"))
        if found is None:
            raise ValueError
        place = place_of(found)
        if write(place) != cursor:
            raise ValueError
    except ValueError:
        raise Problem(400, "The cursor is invalid: use `next` or `previous` of this list as they are.") from None
    return place

"""Cursors of paginated lists: text that clients send back unchanged; any other text is refused.

A cursor is a position in one list with its filters. The position is an id, or a time and an id, never a row number, so
that rows may be inserted and deleted.
"""

from __future__ import annotations

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, TypeVar

from app.db.decisions import LogPosition
from app.http.wire.problems import Problem

_MAX_CHARACTERS = 200
_BOUND = 2**63
_EARLIEST, _LATEST = -62_135_596_800_000_000, 253_402_300_799_999_999  # the years 1 to 9999, in microseconds since 1970
_ROW = re.compile(r"([ab])([0-9]{1,19}):(.+)", re.ASCII)
_LOG = re.compile(r"(older|newer) (-?[0-9]{1,19}) ([0-9]{1,19}) [0-9a-f]{16}", re.ASCII)
_Position = TypeVar("_Position")


@dataclass(frozen=True, slots=True)
class CursorPosition:
    """The rows with an id greater than `after`, or less than `before` if it is set."""

    after: int = 0
    before: int | None = None


@dataclass(frozen=True, slots=True)
class DecisionsAround:
    """The decisions that are older or newer than a position in the log."""

    side: Literal["older", "newer"]
    mark: LogPosition


def encode(content: bytes) -> str:
    """The text of a cursor with this content."""
    return urlsafe_b64encode(content).rstrip(b"=").decode()


def decode(cursor: str, max_characters: int = _MAX_CHARACTERS) -> bytes:
    """The content of a cursor. Raises ValueError for any text that `encode` does not write."""
    if len(cursor) > max_characters:
        raise ValueError("too long")
    content = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
    if encode(content) != cursor:
        raise ValueError("not in canonical form")
    return content


def write_cursor(position: CursorPosition, listing: str) -> str:
    """The cursor of a position in the list at the path `listing`."""
    side, row_id = ("a", position.after) if position.before is None else ("b", position.before)
    return encode(f"{side}{row_id}:{listing}".encode())


def read_cursor(cursor: str, listing: str) -> CursorPosition:
    """The position of a cursor. Raises Problem 400 for any text that is not a cursor of this list."""
    return _read(cursor, _ROW, _row_position, lambda position: write_cursor(position, listing))


def write_log_cursor(around: DecisionsAround, listing: str) -> str:
    """The cursor of a position in the decision log as `listing` filters it."""
    filters = sha256(listing.encode()).hexdigest()[:16]
    return encode(f"{around.side} {around.mark.at} {around.mark.id} {filters}".encode())


def read_log_cursor(cursor: str, listing: str) -> DecisionsAround:
    """The position of a cursor. Raises Problem 400 for any text that is not a cursor of this listing."""
    return _read(cursor, _LOG, _log_position, lambda around: write_log_cursor(around, listing))


def _read(
    cursor: str,
    content: re.Pattern[str],
    position_of: Callable[[re.Match[str]], _Position],
    write: Callable[[_Position], str],
) -> _Position:
    try:
        match = content.fullmatch(decode(cursor).decode("ascii"))
        if match is None:
            raise ValueError
        position = position_of(match)
        if write(position) != cursor:  # of another listing, or a number in another spelling
            raise ValueError
    except ValueError:
        raise Problem(400, "The cursor is invalid: send `next` or `previous` of this list unchanged.") from None
    return position


def _row_position(match: re.Match[str]) -> CursorPosition:
    row_id = int(match[2])
    if row_id >= _BOUND:
        raise ValueError
    return CursorPosition(after=row_id) if match[1] == "a" else CursorPosition(before=row_id)


def _log_position(match: re.Match[str]) -> DecisionsAround:
    mark = LogPosition(int(match[2]), int(match[3]))
    if not (_EARLIEST <= mark.at <= _LATEST and mark.id < _BOUND - 1):
        raise ValueError
    return DecisionsAround("older" if match[1] == "older" else "newer", mark)

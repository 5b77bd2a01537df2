"""Request ids and token ids as few bytes: most are hexadecimal digits or a UUID, and take half the space.

An id of our own begins with the time at which the request arrived. The time of the decision tells most of it, so eight
bytes are stored, and the id is found by its time. Of other ids the third to fifth byte are indexed. They differ from
one id to the next, whatever the ids of a client have in common: of digits these are the last ones, and of text a hash.
"""

from __future__ import annotations

import re
from hashlib import sha256
from typing import NamedTuple
from uuid import UUID

from app.db.decision_times import END

INDEXED = slice(2, 5)  # as in `REQUEST_ID_PART` of the table
TIMED_BYTES = 8  # of an id of our own, whose decision was made soon: three of the time, and five random ones
TIMED_SECONDS = 2  # from the request to its decision
_HASH_BYTES = 4
_OWN_BYTES = 12  # an id of our own: see `app.http.door.request_id`
_OWN_DIGITS = 2 * _OWN_BYTES
_TIME_BYTES = 7
_TIMED = TIMED_SECONDS * 1_000_000  # microseconds
_TIMED_END = END - _TIMED
_RAW_BYTES = (10, _OWN_BYTES, 16)
_RAW_DIGITS = tuple(2 * size for size in _RAW_BYTES)
_OTHER_LENGTHS = (TIMED_BYTES, *_RAW_BYTES)
_LOW_BYTES = TIMED_BYTES - (_OWN_BYTES - _TIME_BYTES)  # of the time
_LOW_END = 1 << 8 * _LOW_BYTES
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.ASCII)
_UUID_TAG, _TEXT_TAG = b"u", b"t"


def compact(text: str) -> bytes:
    """The bytes of an id; different ids have different bytes. The text is printable."""
    if len(text) in _RAW_DIGITS and (raw := _bytes_of(text)) is not None:
        return raw if len(raw) == _OWN_BYTES else raw[1::-1] + raw[:1:-1]
    if _UUID.fullmatch(text):
        raw = UUID(text).bytes
        return _UUID_TAG + raw[:1] + raw[:0:-1]
    encoded = text.encode()
    tagged = _TEXT_TAG + sha256(encoded).digest()[:_HASH_BYTES] + encoded
    # A length of its own tells text from digits.
    return tagged + b"\0" if len(tagged) in _OTHER_LENGTHS else tagged


def compact_request_id(text: str, at: int) -> bytes:
    """The bytes of a request id whose decision was made at a time, in microseconds since 1970."""
    # As `timed_id` does, without an object for each row.
    if len(text) == _OWN_DIGITS and (raw := _bytes_of(text)) is not None:
        arrived = int.from_bytes(raw[:_TIME_BYTES], "big")
        if arrived <= at < arrived + _TIMED and arrived < _TIMED_END:
            return raw[_OWN_BYTES - TIMED_BYTES :]
    return compact(text)


class TimedId(NamedTuple):
    """An id that begins with its time, in microseconds since 1970, and the bytes that are stored of it."""

    at: int
    data: bytes


def timed_id(text: str) -> TimedId | None:
    """An id that may be of our own; None for another."""
    if len(text) != 2 * _OWN_BYTES or (raw := _bytes_of(text)) is None:
        return None
    at = int.from_bytes(raw[:_TIME_BYTES], "big")
    return TimedId(at, raw[-TIMED_BYTES:]) if at < _TIMED_END else None


def expand_request_id(data: bytes, at: int) -> str:
    """The request id of which these are the bytes, and whose decision was made at a time."""
    if len(data) != TIMED_BYTES:
        return expand(data)
    # The time of the request is the last one until then that ends with these bytes.
    passed: int = (at - int.from_bytes(data[:_LOW_BYTES], "big")) % _LOW_END
    return ((at - passed).to_bytes(_TIME_BYTES, "big") + data[_LOW_BYTES:]).hex()


def _bytes_of(digits: str) -> bytes | None:
    """The bytes of hexadecimal digits in lower case; a third of the time of a regular expression."""
    try:
        raw = bytes.fromhex(digits)
    except ValueError:
        return None
    return raw if raw.hex() == digits else None


def expand(data: bytes) -> str:
    """The id of which these are the bytes."""
    if len(data) in _RAW_BYTES:
        return (data if len(data) == _OWN_BYTES else data[1::-1] + data[:1:-1]).hex()
    if data.startswith(_UUID_TAG):
        return str(UUID(bytes=data[1:2] + data[:1:-1]))
    return data[1 + _HASH_BYTES :].rstrip(b"\0").decode()

"""Request ids and token ids as few bytes: most are hexadecimal digits or a UUID, and take half the space.

The third to fifth byte of a request id are indexed. They differ from one id to the next, whatever the ids of a client
have in common: an id of our own begins with the time, of which these are bits, so that the index is filled in order for
days; of other digits these are the last ones, and of text a hash.
"""

from __future__ import annotations

import re
from hashlib import sha256
from uuid import UUID

INDEXED = slice(2, 5)  # as in `REQUEST_ID_PART` of the table
_HASH_BYTES = 4
_OWN_BYTES = 12  # an id of our own: see `app.http.door.request_id`
_RAW_BYTES = (10, _OWN_BYTES, 16)
_RAW_DIGITS = tuple(2 * size for size in _RAW_BYTES)
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
    return tagged + b"\0" if len(tagged) in _RAW_BYTES else tagged


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

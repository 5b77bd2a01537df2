"""The ids of the rows of a part and the first bytes of their digests, by which a row is named that differs.

The ids are written as differences, seven bits in a byte, and compressed, since most of them are 1. The hash of all
complete digests is what rows are checked by: these bytes are too few for that.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from struct import Struct

DIGEST_BYTES = 4
_MAX_ID_BYTES = 10
_SIZES = Struct(">II")  # the bytes of the ids, as they are and compressed


class DamagedDigests(Exception):
    """These are not the digests of rows."""


class RowDigests:
    """The rows of a part that are added one by one, all after `after_id` and in the order of their ids."""

    __slots__ = ("_deltas", "_digests", "_last_id")

    def __init__(self, after_id: int) -> None:
        self._last_id = after_id
        self._deltas = bytearray()
        self._digests = bytearray()

    def add(self, row_id: int, digest: bytes) -> None:
        """Add a row with its complete digest."""
        delta, self._last_id = row_id - self._last_id, row_id
        deltas = self._deltas
        while delta > 0x7F:
            deltas.append(delta & 0x7F | 0x80)
            delta >>= 7
        deltas.append(delta)
        self._digests += digest[:DIGEST_BYTES]

    def packed(self) -> tuple[bytes, bytes]:
        """The content, and the bytes to store, which are compressed."""
        compressed = zlib.compress(self._deltas, 6)
        sizes = _SIZES.pack(len(self._deltas), len(compressed))
        return bytes(self._deltas + self._digests), sizes + compressed + self._digests


def unpack(after_id: int, count: int, stored: bytes) -> tuple[bytes, Sequence[tuple[int, bytes]]]:
    """The content, and each id with its digest. Raises DamagedDigests."""
    if len(stored) < _SIZES.size:
        raise DamagedDigests
    size, packed_size = _SIZES.unpack_from(stored)
    start = _SIZES.size + packed_size
    joined = stored[start:]
    if size > count * _MAX_ID_BYTES or len(joined) != count * DIGEST_BYTES:
        raise DamagedDigests
    try:
        deltas = zlib.decompressobj().decompress(stored[_SIZES.size : start], size + 1)
    except zlib.error:
        raise DamagedDigests from None
    ids: list[int] = []
    row_id, delta, shift = after_id, 0, 0
    for byte in deltas:
        delta |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            row_id += delta
            ids.append(row_id)
            delta = shift = 0
    if len(deltas) != size or len(ids) != count:
        raise DamagedDigests
    each = (joined[start : start + DIGEST_BYTES] for start in range(0, len(joined), DIGEST_BYTES))
    return deltas + joined, list(zip(ids, each, strict=True))

"""Collects the rows of a segment, and divides them into parts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from app.audit.chain.entry import PartClass, SealedPart
from app.audit.chain.row_digests import RowDigests

DAY = 86_400 * 1_000_000  # microseconds


class ChainRow(NamedTuple):
    """A row of a log, as its seal covers it. `at` is in microseconds since 1970."""

    id: int
    at: int
    part_class: PartClass
    digest: bytes

    @property
    def part(self) -> tuple[PartClass, int]:
        """The class and the day, which are those of its part."""
        return self.part_class, self.at // DAY


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part and the digests of its rows: see `app.audit.chain.row_digests`; None once it is retired."""

    part: SealedPart
    digests: bytes | None


class _OpenPart:
    __slots__ = ("_count", "_digest", "_digests", "_first_at", "_first_id", "_last_at", "_last_id")

    def __init__(self, after_id: int, first: ChainRow) -> None:
        self._digests = RowDigests(after_id)
        self._digest = sha256()
        self._count = 0
        self._first_id = self._last_id = first.id
        self._first_at = self._last_at = first.at

    def add(self, row_id: int, at: int, digest: bytes) -> None:
        self._digests.add(row_id, digest)
        self._digest.update(digest)
        self._count += 1
        self._last_id = row_id
        if at < self._first_at:
            self._first_at = at
        elif at > self._last_at:
            self._last_at = at

    def stored(self, part_class: PartClass, day: int) -> StoredPart:
        plain, packed = self._digests.packed()
        sealed = SealedPart(
            part_class,
            day,
            self._count,
            self._first_id,
            self._last_id,
            self._first_at,
            self._last_at,
            self._digest.digest(),
            sha256(plain).digest(),
        )
        return StoredPart(sealed, packed)


class SegmentBuilder:
    """The rows of a segment after an id. They are added in the order of their ids."""

    def __init__(self, after_id: int) -> None:
        self.count = 0
        self.after_id = after_id
        self._parts: dict[tuple[PartClass, int], _OpenPart] = {}

    def add(self, rows: Sequence[ChainRow]) -> None:
        """Add rows."""
        for row in rows:
            row_id, at, part_class, digest = row
            name = part_class, at // DAY
            part = self._parts.get(name)
            if part is None:
                part = self._parts[name] = _OpenPart(self.after_id, row)
            part.add(row_id, at, digest)
        self.count += len(rows)

    def parts(self) -> Sequence[StoredPart]:
        """The parts of the rows."""
        return [part.stored(*name) for name, part in self._parts.items()]

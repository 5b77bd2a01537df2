"""Collects the rows of a segment, and divides them into parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import NamedTuple

from app.audit.chain.entry import PartClass, SealedPart
from app.audit.chain.row_digests import DIGEST_BYTES, pack

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


@dataclass(slots=True)
class _OpenPart:
    ids: list[int] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    times: list[int] = field(default_factory=list)


class SegmentBuilder:
    """The rows of a segment after an id. They are added in the order of their ids."""

    def __init__(self, after_id: int) -> None:
        self.count = 0
        self.after_id = after_id
        self._parts: dict[tuple[PartClass, int], _OpenPart] = {}

    def add(self, rows: Iterable[ChainRow]) -> None:
        """Add rows."""
        parts, count = self._parts, 0
        for row_id, at, part_class, digest in rows:
            name = part_class, at // DAY
            part = parts.get(name)
            if part is None:
                part = parts[name] = _OpenPart()
            part.ids.append(row_id)
            part.digests.append(digest)
            part.times.append(at)
            count += 1
        self.count += count

    def parts(self) -> Sequence[StoredPart]:
        """The parts of the rows."""
        found = []
        for (part_class, day), rows in self._parts.items():
            short = [digest[:DIGEST_BYTES] for digest in rows.digests]
            plain, packed = pack(self.after_id, rows.ids, short)
            sealed = SealedPart(
                part_class,
                day,
                len(rows.ids),
                rows.ids[0],
                rows.ids[-1],
                min(rows.times),
                max(rows.times),
                sha256(b"".join(rows.digests)).digest(),
                sha256(plain).digest(),
            )
            found.append(StoredPart(sealed, packed))
        return found

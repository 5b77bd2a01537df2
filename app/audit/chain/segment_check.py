"""Compares the rows of a log with the segment that seals them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from hashlib import sha256

from app.audit.chain.entry import ChainEntry, PartClass, SealedPart
from app.audit.chain.faults import TABLE_NAMES, ChainFault, FaultKind, moment_of, text_of
from app.audit.chain.row_digests import DIGEST_BYTES, DamagedDigests, unpack
from app.audit.chain.segment import ChainRow, StoredPart

MAX_NAMED = 1_000  # rows that are named in a segment; further ones are counted


class SegmentCheck:
    """Checks one segment: `add` its rows in the order of their ids, then read its `faults`.

    Parts for which `is_retired` is true are not checked, since their rows may be deleted. With a `day`, in days since
    1970, only parts of that day are.
    """

    def __init__(
        self,
        entry: ChainEntry,
        parts: Sequence[StoredPart],
        is_retired: Callable[[SealedPart], bool],
        day: int | None = None,
    ) -> None:
        self.checked = self.left_over = self.retired = self._unnamed = 0
        self._entry = entry
        self._day = day
        self._faults: list[ChainFault] = []
        # Each row that must be there, with its part and the beginning of its digest.
        self._expected: dict[int, tuple[int, bytes]] = {}
        self._parts = [stored.part for stored in parts]
        self._indexes: dict[tuple[PartClass, int], int] = {}
        self._hashes = [sha256() for _ in parts]
        self._counts = [0] * len(parts)
        self._has_named = [False] * len(parts)
        self._retired: set[int] = set()
        self._nameless: set[int] = set()  # parts whose rows cannot be named
        for index, stored in enumerate(parts):
            self._indexes[stored.part.part_class, stored.part.day] = index
            self._expect(index, stored, is_retired)

    def _expect(self, index: int, stored: StoredPart, is_retired: Callable[[SealedPart], bool]) -> None:
        part = stored.part
        if is_retired(part):
            self._retired.add(index)
            self.retired += part.count
            return
        if not self._is_of_day(part.day):
            return
        digests = None
        try:
            if stored.digests is not None:
                plain, digests = unpack(self._entry.after_id, part.count, stored.digests)
                if sha256(plain).digest() != part.digests_hash:
                    digests = None
        except DamagedDigests:
            pass
        if digests is None:
            self._nameless.add(index)
            state = "missing" if stored.digests is None else "damaged"
            self._fault("digests", f"the digests of {self._part_text(part)} are {state}, so that no row can be named")
        else:
            self._expected.update((row_id, (index, digest)) for row_id, digest in digests)

    def add(
        self,
        rows: Iterable[ChainRow],
        without_key: Sequence[int] = (),
        unreadable: Sequence[int] = (),
        doubled: Sequence[int] = (),
        hidden: Sequence[int] = (),
    ) -> None:
        """Compare rows. Of others there are only ids.

        Their decision key is missing, their values are unreadable, the table of the previous release has another row
        with the id, or filters do not find them.
        """
        for row in rows:
            expected = self._expected.pop(row.id, None)
            if expected is not None:
                self._compare(row, *expected)
                continue
            part = self._indexes.get(row.part)
            if part in self._retired and self._parts[part].first_id <= row.id <= self._parts[part].last_id:
                self.left_over += 1
            elif part in self._nameless:
                self._hashes[part].update(row.digest)
                self._counts[part] += 1
                self.checked += 1
            elif self._is_of_day(row.part[1]):
                self._row_fault("added", row.id, row.at, "was added: it was not in the log when its range was sealed")
        for row_id in without_key:
            self._add_id("without_key", row_id, "refers to a row of decision_keys, or of its parts, that is missing")
        for row_id in unreadable:
            self._add_id("altered", row_id, "has values that no program wrote")
        for row_id in doubled:
            self._add_id("added", row_id, "has another one with its id in the table decisions, which was added")
        named = {fault.row_id for fault in self._faults}
        for row_id in (row_id for row_id in hidden if row_id not in named):
            self._add_id("altered", row_id, "has a key or an outcome of other days, so that filters do not find it")

    def faults(self) -> Iterator[ChainFault]:
        """The faults, after all rows were added."""
        for row_id, (index, _) in self._expected.items():
            self._has_named[index] = True
            part = self._parts[index]
            period = f"from {text_of(part.first_at)} to {text_of(part.last_at)}"
            self._row_fault(
                "removed", row_id, None, f"was removed: it was one of {part.count:,} ({part.part_class}) {period}"
            )
        self._expected.clear()
        for index, part in enumerate(self._parts):
            if index in self._retired or self._has_named[index] or not self._is_of_day(part.day):
                continue
            if self._hashes[index].digest() != part.rows_hash:
                counts = f"{self._counts[index]:,} rows are there, and {part.count:,} were sealed"
                self._fault("rows", f"rows of {self._part_text(part)} differ from what was sealed: {counts}")
        if self._unnamed:
            self._fault("rows", f"{self._unnamed:,} more rows of this segment differ")
            self._unnamed = 0
        yield from self._faults

    def _add_id(self, kind: FaultKind, row_id: int, message: str) -> None:
        expected = self._expected.pop(row_id, None)
        if expected is not None:
            self._has_named[expected[0]] = True
        self._row_fault(kind, row_id, None, message)

    def _compare(self, row: ChainRow, index: int, digest: bytes) -> None:
        self.checked += 1
        self._hashes[index].update(row.digest)
        self._counts[index] += 1
        found = row.digest[:DIGEST_BYTES]
        if found != digest:
            self._has_named[index] = True
            self._row_fault(
                "altered", row.id, row.at, f"was altered: its digest is {found.hex()}…, and {digest.hex()}… was sealed"
            )

    def _is_of_day(self, day: int) -> bool:
        return self._day is None or day == self._day

    def _part_text(self, part: SealedPart) -> str:
        return f"the part {part.part_class} of {text_of(part.first_at)[:10]} (ids {part.first_id} to {part.last_id})"

    def _row_fault(self, kind: FaultKind, row_id: int, at: int | None, message: str) -> None:
        if len(self._faults) >= MAX_NAMED:
            self._unnamed += 1
            return
        log = self._entry.log
        moment = "" if at is None else f" of {text_of(at)}"
        self._faults.append(
            ChainFault(
                log,
                kind,
                f"row {row_id} of {TABLE_NAMES[log]}{moment} {message}",
                self._entry.sequence,
                row_id,
                None if at is None else moment_of(at),
            )
        )

    def _fault(self, kind: FaultKind, message: str) -> None:
        self._faults.append(ChainFault(self._entry.log, kind, message, self._entry.sequence))

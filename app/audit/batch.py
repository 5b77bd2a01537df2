"""Decisions on their way to the database: each key is there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.audit.record import MAX_TEXT, DecisionKey, Record
from app.audit.sanitize import clean_once

# Time and latency in microseconds, request id, token id, and the index of the key.
BatchRow = tuple[int, int, str, str | None, int]


class Batch:
    """Decisions in order, and their keys. `last_times` has the time of the last decision of each key."""

    __slots__ = ("_indexes", "last_times", "rows")

    def __init__(self) -> None:
        self.rows: list[BatchRow] = []
        self.last_times: list[int] = []
        self._indexes: dict[DecisionKey, int] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Batch:
        """A batch of these decisions."""
        batch = cls()
        for record in records:
            batch._add((*record[:-1], batch.key_index(record.key)))
        return batch

    def key_index(self, key: DecisionKey) -> int:
        """The index of a key, which is added if it is new."""
        index = self._indexes.setdefault(key, len(self._indexes))
        if index == len(self.last_times):
            self.last_times.append(0)
        return index

    def add(self, at: int, latency: int, request_id: str, token_id: str | None, key_index: int) -> None:
        """Add a decision; the times are in nanoseconds."""
        self._add((at // 1000, latency // 1000, clean_once(request_id, MAX_TEXT), token_id, key_index))

    def _add(self, row: BatchRow) -> None:
        self.rows.append(row)
        self.last_times[row[-1]] = row[0]

    @property
    def keys(self) -> list[DecisionKey]:
        """The keys, by index."""
        return list(self._indexes)

    def records(self) -> Iterator[Record]:
        """The decisions, each with its key."""
        keys = self.keys
        return (Record(*row[:-1], keys[row[-1]]) for row in self.rows)

"""Decisions on their way to the database: each key is there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.audit.record import MAX_TEXT, DecisionKey, Record
from app.audit.sanitize import clean_once

# Time and latency in microseconds, request id, token id, the index of the key, and the number of equal decisions.
BatchRow = tuple[int, int, str, str | None, int, int]


class Batch:
    """Decisions in order, and their keys."""

    __slots__ = ("_indexes", "rows")

    def __init__(self) -> None:
        self.rows: list[BatchRow] = []
        self._indexes: dict[DecisionKey, int] = {}

    def __len__(self) -> int:
        return len(self.rows)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Batch:
        """A batch of these decisions."""
        batch = cls()
        for at, latency, request_id, token_id, key, times in records:
            batch.rows.append((at, latency, request_id, token_id, batch.key_index(key), times))
        return batch

    def key_index(self, key: DecisionKey) -> int:
        """The index of a key, which is added if it is new."""
        return self._indexes.setdefault(key, len(self._indexes))

    def add(
        self, at: int, latency: int, request_id: str, token_id: str | None, key_index: int, *, times: int = 1
    ) -> None:
        """Add a decision, or several equal ones; `at` and `latency` are in nanoseconds."""
        self.rows.append((at // 1000, latency // 1000, clean_once(request_id, MAX_TEXT), token_id, key_index, times))

    @property
    def keys(self) -> list[DecisionKey]:
        """The keys, by index."""
        return list(self._indexes)

    @property
    def decisions(self) -> int:
        """The number of decisions, which is larger than that of the rows if some are equal."""
        return sum(row[-1] for row in self.rows)

    def records(self) -> Iterator[Record]:
        """The decisions, each with its key."""
        keys = self.keys
        for at, latency, request_id, token_id, key_index, times in self.rows:
            yield Record(at, latency, request_id, token_id, keys[key_index], times)

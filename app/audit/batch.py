"""Decisions on their way into the database: what many of them have alike is there once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from app.audit.record import MAX_TEXT, OWN, About, Record
from app.audit.sanitize import clean_once

Own = tuple[int, int, str, int]  # of a decision: when, how long, for which request, and the number of what it is about


class Batch:
    """Decisions in their order, and what they are about. `lasts` are when each of that came last, in microseconds."""

    __slots__ = ("_numbers", "lasts", "made")

    def __init__(self) -> None:
        self.made: list[Own] = []
        self.lasts: list[int] = []
        self._numbers: dict[About, int] = {}

    def __len__(self) -> int:
        return len(self.made)

    @classmethod
    def of(cls, records: Iterable[Record]) -> Batch:
        """These decisions."""
        batch = cls()
        for record in records:
            batch._add((record.at, record.latency, record.request_id, batch.number_of(record[OWN:])))
        return batch

    def number_of(self, about: About) -> int:
        """The number of what a decision is about, the same for all that is alike."""
        number = self._numbers.setdefault(about, len(self._numbers))
        if number == len(self.lasts):
            self.lasts.append(0)
        return number

    def add(self, at: int, latency: int, request_id: str, number: int) -> None:
        """One more decision, about what has this number; the times are in nanoseconds."""
        self._add((at // 1000, latency // 1000, clean_once(request_id, MAX_TEXT), number))

    def _add(self, own: Own) -> None:
        self.made.append(own)
        self.lasts[own[3]] = own[0]

    @property
    def abouts(self) -> list[About]:
        """What the decisions are about, by number."""
        return list(self._numbers)

    def records(self) -> Iterator[Record]:
        """Each decision whole."""
        abouts = self.abouts
        return (Record._make((*own, *abouts[number])) for *own, number in self.made)

"""A decision of the log with its id, and its position, by which the log is read a page at a time."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from app.audit.record import Record


class LogPosition(NamedTuple):
    """The position of a decision in the log: its time in microseconds since 1970, and its id."""

    at: int
    id: int


@dataclass(frozen=True, slots=True)
class LoggedRecord:
    """A decision with its id in the log."""

    id: int
    record: Record

    @property
    def position(self) -> LogPosition:
        """The position of the decision in the log."""
        return LogPosition(self.record.at, self.id)


def merged(*lists: Iterable[LoggedRecord]) -> list[LoggedRecord]:
    """Decisions of several lists, each once: one that was moved between two reads is in both."""
    return list({row.id: row for rows in lists for row in rows}.values())

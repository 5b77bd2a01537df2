"""A place in the history of policies.

An id alone does not name it: after a restore the ids of lost entries are given out again. Id and revision do, since a
revision is a digest of the files.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.db import revisions
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A row of the history: the same revision can be in it more than once."""

    id: int
    revision: str


def entry_of(row: PolicyRevision | None) -> HistoryEntry | None:
    """The place of a row; None for none."""
    return HistoryEntry(row.id, row.revision) if row else None


async def newest(sessions: Sessions) -> HistoryEntry | None:
    """The newest entry of the history; None before the first. Raises what the database does."""
    async with sessions() as session:
        return entry_of(await revisions.head(session))

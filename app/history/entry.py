"""A place in the history of policies.

It takes an id and a revision, a digest of the files: after a restore the ids of lost entries are used again.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.db import revisions
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A row of the history, which may hold the same revision more than once."""

    id: int
    revision: str


def entry_of(row: PolicyRevision | None) -> HistoryEntry | None:
    """The place of a row; None without a row."""
    return HistoryEntry(row.id, row.revision) if row else None


async def newest(sessions: Sessions) -> HistoryEntry | None:
    """The newest entry of the history; None before the first. Raises the errors of the database."""
    async with sessions() as session:
        return entry_of(await revisions.head(session))

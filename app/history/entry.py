"""A place in the history of policies.

It takes an id and a revision, a digest of the files: after a restore the ids of lost entries are used again.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.db import revisions
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """A row of the history, which may hold the same revision more than once."""

    id: int
    revision: str


@dataclass(frozen=True, slots=True)
class PendingEntry:
    """An entry that is not taken over yet, and whether the history has the policy that is active until then.

    `lost` is the entry that was taken over last, if the history no longer has it.
    """

    row: PolicyRevision | None
    is_kept: bool
    lost: HistoryEntry | None


def entry_of(row: PolicyRevision | None) -> HistoryEntry | None:
    """The place of a row; None without a row."""
    return HistoryEntry(row.id, row.revision) if row else None


async def newest(sessions: Sessions) -> HistoryEntry | None:
    """The newest entry of the history; None before the first. Raises the errors of the database."""
    async with sessions() as session:
        return entry_of(await revisions.head(session))


async def read_pending(
    session: AsyncSession, entry: HistoryEntry, at: HistoryEntry | None, active: str
) -> PendingEntry:
    """Read what is needed to take over an entry, after `at` and while the revision `active` is served."""
    row = await revisions.entry(session, entry.id)
    lost = at if at is not None and not await revisions.holds(session, at.id, at.revision) else None
    return PendingEntry(row, await revisions.was_accepted(session, active), lost)

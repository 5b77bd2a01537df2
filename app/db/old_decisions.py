"""The decision log in the database as retention sees it: room for the days to come, and an end of those long gone.

On PostgreSQL whole days are dropped, and by the row goes what is in no partition of a day; on SQLite everything.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Delete, delete, select, text
from sqlalchemy.engine import CursorResult

from app.db.decision_writer import told
from app.db.engine import LOCK_FIRST
from app.db.partitions import DAY, drop_before, make_ahead
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet, LoggedDecision

# A statement that waits for a lock on the log blocks all others behind it; better to retry later.
_LOCK_SECONDS = 2
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSet)


class OldDecisions:
    """The decision log, to be kept for a time: what `app.audit.retention` needs of it."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def make_ready(self, now: datetime) -> None:
        """Make the partitions of the next days. Raises CannotWrite."""
        await self._partitioned(lambda connection: make_ahead(connection, now))

    async def drop_days_before(self, at: int) -> int:
        """Drop the partitions of days that were over before `at`; say how many. Raises CannotWrite."""
        return len(await self._partitioned(lambda connection: drop_before(connection, at)))

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most `limit` decisions from before `at`, oldest first; say how many. Raises CannotWrite.

        On PostgreSQL from before the day of `at`, for that is dropped once it is over.
        """
        if self._on_postgresql:
            at -= at % DAY
        old = _decisions.c.at < at
        oldest = select(_decisions.c.id).where(old).order_by(_decisions.c.at, _decisions.c.id).limit(limit)
        return await self._delete(delete(_decisions).where(old, _decisions.c.id.in_(oldest)))

    async def delete_grant_sets_before(self, day: date) -> int:
        """Delete the grant sets that were last seen before a day; say how many. Raises CannotWrite."""
        return await self._delete(delete(_grant_sets).where(_grant_sets.c.last_seen_on < day))

    @property
    def _on_postgresql(self) -> bool:
        return bool(self._sessions.kw["bind"].dialect.name == "postgresql")

    async def _partitioned(self, change: Callable[[Connection], Sequence[str]]) -> Sequence[str]:
        if not self._on_postgresql:
            return ()
        with told():
            async with self._sessions() as session:
                await session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
                changed = await (await session.connection()).run_sync(change)
                await session.commit()
        return changed

    async def _delete(self, which: Delete) -> int:
        with told():
            async with self._sessions() as session:
                await session.connection(execution_options=LOCK_FIRST)
                deleted = await session.execute(which)
                await session.commit()
        return cast(CursorResult[Any], deleted).rowcount

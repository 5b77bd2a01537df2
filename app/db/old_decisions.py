"""The decision log for retention: creates partitions for the next days, and deletes old decisions.

On PostgreSQL, partitions of complete days are dropped, and rows of other partitions deleted; on SQLite, rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Delete, delete, select, text
from sqlalchemy.engine import CursorResult

from app.db.decision_writer import without_values
from app.db.engine import LOCK_FIRST
from app.db.partitions import DAY, drop_before, make_ahead
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet, LoggedDecision

# A statement that waits for a lock on the log blocks all others after it; retrying later is better.
_LOCK_SECONDS = 2
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSet)


class OldDecisions:
    """Implements the storage that `app.audit.retention` needs."""

    def __init__(self, sessions: Sessions) -> None:
        self._sessions = sessions

    async def make_ready(self, now: datetime) -> None:
        """Create the partitions of the next days. Raises BatchNotStored."""
        await self._partitioned(lambda connection: make_ahead(connection, now))

    async def drop_days_before(self, at: int) -> int:
        """Drop the partitions of days that ended before `at`; return how many. Raises BatchNotStored."""
        return len(await self._partitioned(lambda connection: drop_before(connection, at)))

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most `limit` decisions from before `at`, oldest first; return how many. Raises BatchNotStored.

        On PostgreSQL only from before the day of `at`, since the partition of that day will be dropped.
        """
        if self._on_postgresql:
            at -= at % DAY
        is_old = _decisions.c.at < at
        oldest = select(_decisions.c.id).where(is_old).order_by(_decisions.c.at, _decisions.c.id).limit(limit)
        return await self._delete(delete(_decisions).where(is_old, _decisions.c.id.in_(oldest)))

    async def delete_grant_sets_before(self, day: date) -> int:
        """Delete the grant sets that were last used before a day; return how many. Raises BatchNotStored."""
        return await self._delete(delete(_grant_sets).where(_grant_sets.c.last_seen_on < day))

    @property
    def _on_postgresql(self) -> bool:
        return bool(self._sessions.kw["bind"].dialect.name == "postgresql")

    async def _partitioned(self, change: Callable[[Connection], Sequence[str]]) -> Sequence[str]:
        if not self._on_postgresql:
            return ()
        with without_values():
            async with self._sessions() as session:
                await session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
                changed = await (await session.connection()).run_sync(change)
                await session.commit()
        return changed

    async def _delete(self, statement: Delete) -> int:
        with without_values():
            async with self._sessions() as session:
                await session.connection(execution_options=LOCK_FIRST)
                deleted = await session.execute(statement)
                await session.commit()
        return cast(CursorResult[Any], deleted).rowcount

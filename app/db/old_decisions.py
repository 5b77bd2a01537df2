"""The decision log for retention: creates partitions for the next days, and deletes old decisions.

On PostgreSQL, partitions of complete days are dropped, and rows of other partitions deleted; on SQLite, rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Connection, Delete, Select, delete, exists, select, text
from sqlalchemy.engine import CursorResult

from app.db.decision_times import split_time
from app.db.decision_writer import lock_log, without_values
from app.db.engine import LOCK_FIRST
from app.db.partitions import DAY, drop_before, make_ahead
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decision_drops import DecisionDrop
from app.db.tables.decisions import (
    DecisionCaller,
    DecisionKeyRow,
    DecisionOutcome,
    DecisionRow,
    DecisionTarget,
    GrantSet,
    LoggedDecision,
)

# A statement that waits for a lock on the log blocks all others after it; retrying later is better.
_LOCK_SECONDS = 2
_BATCH_SIZE = 1_000  # keys in a transaction, for which writers wait
_rows = table_of(DecisionRow)
_old_rows = table_of(LoggedDecision)
_grant_sets = table_of(GrantSet)
_drops = table_of(DecisionDrop)
_keys = table_of(DecisionKeyRow)
# In this order, since keys refer to the others.
_PARTS = (
    (_keys, _rows.c.decision_key_id),
    (table_of(DecisionCaller), _keys.c.caller_id),
    (table_of(DecisionTarget), _keys.c.target_id),
    (table_of(DecisionOutcome), _keys.c.outcome_id),
)


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
        second, microsecond = split_time(at)
        old = select(_rows.c.id).where(_rows.c.second <= second)
        old = old.where((_rows.c.second < second) | (_rows.c.microsecond < microsecond))
        oldest = old.order_by(_rows.c.second, _rows.c.microsecond, _rows.c.id).limit(limit)
        deleted = await self._delete(delete(_rows).where(_rows.c.second <= second, _rows.c.id.in_(oldest)))
        if deleted == limit:
            return deleted
        before = _old_rows.c.at < at
        first = select(_old_rows.c.id).where(before).order_by(_old_rows.c.at, _old_rows.c.id).limit(limit - deleted)
        return deleted + await self._delete(delete(_old_rows).where(before, _old_rows.c.id.in_(first)))

    async def delete_keys_before(self, day: date) -> int:
        """Delete what decisions had in common and none has had since a day; return how many. Raises BatchNotStored."""
        days = (day - date(1970, 1, 1)).days
        total = 0
        for table, reference in _PARTS:
            is_unused = (table.c.last_day < days) & ~exists().where(reference == table.c.id)
            # Found before the lock is taken, and checked again with it.
            for chunk in await self._ids(select(table.c.id).where(is_unused)):
                total += await self._delete(delete(table).where(table.c.id.in_(chunk), is_unused))
        return total + await self._delete(delete(_grant_sets).where(_grant_sets.c.last_seen_on < day))

    async def delete_drops_before(self, at: int) -> None:
        """Delete what is stored about losses before `at`. Raises BatchNotStored."""
        await self._delete(delete(_drops).where(_drops.c.last_at < at))

    async def _ids(self, query: Select[Any]) -> Sequence[Sequence[int]]:
        with without_values():
            async with self._sessions() as session:
                ids = (await session.execute(query)).scalars().all()
        return [ids[start : start + _BATCH_SIZE] for start in range(0, len(ids), _BATCH_SIZE)]

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
                # With the lock of the writers, which rely on the keys that they have found.
                await lock_log(await session.connection(execution_options=LOCK_FIRST))
                deleted = await session.execute(statement)
                await session.commit()
        return cast(CursorResult[Any], deleted).rowcount

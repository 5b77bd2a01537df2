"""The decision log for retention: creates partitions for the next days, and deletes old decisions.

On PostgreSQL, partitions of complete days are dropped, and rows of other partitions deleted. On SQLite, rows are
deleted, and their space given to the disk.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from typing import Any, cast

from sqlalchemy import Column, ColumnElement, Delete, Select, and_, delete, func, select, text
from sqlalchemy.engine import CursorResult
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.chain.signatures import SigningKey
from app.db.database_clock import ConfirmedClock, database_now
from app.db.decision_times import DAY, join_time, split_time
from app.db.decision_volumes import VolumeChanges
from app.db.decision_writer import lock_log, without_values
from app.db.deleted_rows import delete_rows, delete_unused_keys
from app.db.engine import LOCK_FIRST, WITHOUT_TRANSACTION
from app.db.free_pages import release_pages
from app.db.partitions import drop_one_before, make_ahead
from app.db.past_days import rebuild_one
from app.db.retirement import retire_before
from app.db.row_order import by_time, dialect_of, seconds_between
from app.db.session import Sessions
from app.db.siem_gaps import DeletedRecord, note_deleted
from app.db.tables.base import table_of
from app.db.tables.decision_drops import DecisionDrop
from app.db.tables.decision_volumes import OF_KEYS, DecisionDeletion, DecisionVolume
from app.db.tables.decisions import DecisionKeyRow, DecisionRow, GrantSet, LoggedDecision

# A statement that waits for a lock on the log blocks all others after it; retrying later is better.
_LOCK_SECONDS = 2
_BATCH_SIZE = 1_000  # keys in a transaction, for which writers wait
_rows = table_of(DecisionRow)
_old_rows = table_of(LoggedDecision)
_grant_sets = table_of(GrantSet)
_drops = table_of(DecisionDrop)
_deletions = table_of(DecisionDeletion)
_volumes = table_of(DecisionVolume)
_keys = table_of(DecisionKeyRow)


class OldDecisions:
    """Implements the storage that `app.audit.retention` needs. `signing_key` is that of the hash chain."""

    def __init__(self, sessions: Sessions, signing_key: SigningKey | None = None) -> None:
        self._sessions = sessions
        self._signing_key = signing_key
        self._clock = ConfirmedClock()

    async def now(self) -> int | None:
        """The time by which decisions are old, in microseconds since 1970. Raises BatchNotStored.

        On PostgreSQL it is that of the server. On SQLite it is the time of the newest decision that is at least a day
        old, and advances while this process runs; None if there is no such decision.
        """
        with without_values():
            async with self._sessions() as session:
                now = int((await database_now(session)).timestamp() * 1_000_000)
                if self._on_postgresql:
                    return now
                return self._clock.read(now, await _newest_before(session, now - DAY))

    async def oldest(self) -> int | None:
        """The time of the oldest decision, in microseconds since 1970; None if there is none. Raises BatchNotStored."""
        first = select(_rows.c.second, _rows.c.microsecond).order_by(*by_time(self._dialect)).limit(1)
        with without_values():
            async with self._sessions() as session:
                row = (await session.execute(first)).one_or_none()
                former = await session.scalar(select(func.min(_old_rows.c.at)))
        times = [former, None if row is None else join_time(*row)]
        return min((time for time in times if time is not None), default=None)

    async def make_ready(self, now: datetime | None = None) -> None:
        """Create the partitions of the next days, after that of `now` or of the database. Raises BatchNotStored."""
        if self._on_postgresql:
            async with self._changing_partitions() as connection:
                await connection.run_sync(lambda sync: make_ahead(sync, now))

    async def drop_day_before(self, at: int) -> bool:
        """Drop the oldest partition if its day ended before `at`; return whether one was. Raises BatchNotStored."""
        if not self._on_postgresql:
            return False
        async with self._changing_partitions() as connection:
            await retire_before(connection, self._signing_key, at - at % DAY)
            return bool(await connection.run_sync(lambda sync: drop_one_before(sync, at)))

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most `limit` decisions from before `at`, oldest first; return how many. Raises BatchNotStored.

        On PostgreSQL only from before the day of `at`, since the partition of that day will be dropped.
        """
        if self._on_postgresql:
            at -= at % DAY
        second, microsecond = split_time(at)
        is_before = seconds_between(self._dialect, None, second)
        old = select(_rows.c.id).where(is_before, (_rows.c.second < second) | (_rows.c.microsecond < microsecond))
        oldest = old.order_by(*by_time(self._dialect)).limit(limit)
        deleted = await self._delete_rows(and_(is_before, _rows.c.id.in_(oldest)), at)
        if deleted == limit:
            return deleted
        before = _old_rows.c.at < at
        first = select(_old_rows.c.id).where(before).order_by(_old_rows.c.at, _old_rows.c.id).limit(limit - deleted)
        rows = delete(_old_rows).where(before, _old_rows.c.id.in_(first))
        return deleted + await self._delete_records("decisions", rows, _old_rows.c.at, before=at)

    async def delete_keys_before(self, day: date) -> int:
        """Delete what decisions had in common and none has had since a day; return how many. Raises BatchNotStored."""
        days = (day - date(1970, 1, 1)).days
        total = 0
        for chunk in await self._ids(select(_keys.c.id).where(_keys.c.last_day < days)):
            with without_values():
                async with self._sessions() as session:
                    connection = await session.connection(execution_options=LOCK_FIRST)
                    await lock_log(connection)
                    changes = VolumeChanges()
                    total += await delete_unused_keys(connection, chunk, changes)
                    await changes.store(connection)
                    await session.commit()
        return total + await self._delete(delete(_grant_sets).where(_grant_sets.c.last_seen_on < day))

    async def delete_drops_before(self, at: int) -> None:
        """Delete what is stored about losses and deletions of decisions before `at`. Raises BatchNotStored."""
        await self._delete_records("drops", delete(_drops).where(_drops.c.last_at < at), _drops.c.last_at)
        await self._delete_records(
            "deletions", delete(_deletions).where(_deletions.c.last_at < at), _deletions.c.last_at
        )
        is_over = (_volumes.c.day < at // DAY) & (_volumes.c.day != OF_KEYS)
        await self._delete(delete(_volumes).where(is_over, _volumes.c.row_count == 0))

    async def release_space(self) -> bool:
        """Give a little of the space to the disk; return whether more can be given. Raises BatchNotStored."""
        with without_values():
            async with self._sessions() as session:
                if self._on_postgresql:
                    is_rebuilt = await rebuild_one(await session.connection())
                    await session.commit()
                    return is_rebuilt
                return await release_pages(await session.connection(execution_options=WITHOUT_TRANSACTION))

    async def _ids(self, query: Select[Any]) -> Sequence[Sequence[int]]:
        with without_values():
            async with self._sessions() as session:
                ids = (await session.execute(query)).scalars().all()
        return [ids[start : start + _BATCH_SIZE] for start in range(0, len(ids), _BATCH_SIZE)]

    @property
    def _dialect(self) -> str:
        return str(self._sessions.kw["bind"].dialect.name)

    @property
    def _on_postgresql(self) -> bool:
        return self._dialect == "postgresql"

    @asynccontextmanager
    async def _changing_partitions(self) -> AsyncIterator[AsyncConnection]:
        """A transaction that changes partitions, and is committed at the end of the block."""
        with without_values():
            async with self._sessions() as session:
                await session.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
                yield await session.connection()
                await session.commit()

    async def _delete_rows(self, condition: ColumnElement[bool], before: int) -> int:
        with without_values():
            async with self._sessions() as session:
                connection = await session.connection(execution_options=LOCK_FIRST)
                await lock_log(connection)
                await retire_before(connection, self._signing_key, before)
                changes = VolumeChanges()
                deleted = await delete_rows(connection, condition, changes)
                await changes.store(connection)
                await session.commit()
        return len(deleted)

    async def _delete_records(self, log: str, statement: Delete, at: Column[int], *, before: int | None = None) -> int:
        """Delete records of a log, and note those that a SIEM does not have; `at` is the column of their time.

        The chain keeps a record if these are decisions `before` a time.
        """
        with without_values():
            async with self._sessions() as session:
                connection = await session.connection(execution_options=LOCK_FIRST)
                await lock_log(connection)
                if before is not None:
                    await retire_before(connection, self._signing_key, before)
                rows = await connection.execute(statement.returning(at.table.c.id, at))
                deleted = [DeletedRecord(*row) for row in rows]
                await connection.run_sync(note_deleted, log, deleted)
                await session.commit()
        return len(deleted)

    async def _delete(self, statement: Delete) -> int:
        with without_values():
            async with self._sessions() as session:
                # With the lock of the writers, which rely on the keys that they have found.
                await lock_log(await session.connection(execution_options=LOCK_FIRST))
                deleted = await session.execute(statement)
                await session.commit()
        return cast(CursorResult[Any], deleted).rowcount


async def _newest_before(session: AsyncSession, at: int) -> int | None:
    """The second of the newest decision before a time, both in microseconds since 1970."""
    dialect = dialect_of(session)
    second, _ = split_time(at)
    before = select(_rows.c.second).where(seconds_between(dialect, None, second), _rows.c.second < second)
    newest = await session.scalar(before.order_by(*by_time(dialect, newest_first=True)).limit(1))
    former = await session.scalar(select(func.max(_old_rows.c.at)).where(_old_rows.c.at < at))
    times = [former, None if newest is None else join_time(newest, 0)]
    return max((time for time in times if time is not None), default=None)

"""The decision log with a limit of size: deletes the oldest rows of a class, a few in each transaction.

Rows are deleted in the order of their ids, in which they were stored. Which class is the largest is decided again with
the lock of the log's writers, since other processes delete too.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, delete, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.audit.chain.signatures import SigningKey
from app.audit.decision_class import DECISION_CLASSES, DecisionClass
from app.audit.deletions import Deletion
from app.audit.size_limit import ClassExcess, SizeLimit
from app.db import decision_deletions, former_decisions
from app.db.database_clock import database_now
from app.db.decision_search import newest_id
from app.db.decision_volumes import VolumeChanges, class_rows, class_sizes
from app.db.decision_writer import lock_log, without_values
from app.db.deleted_rows import delete_rows, delete_unused_keys
from app.db.engine import LOCK_FIRST
from app.db.free_pages import empty_write_ahead_log
from app.db.partition_space import reclaim
from app.db.retirement import retire_class
from app.db.row_order import by_id, dialect_of, ids_after
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decision_volumes import OF_KEYS, DecisionVolume
from app.db.tables.decisions import DecisionKeyRow, DecisionRow

BATCH_SIZE = 1_000  # decisions in a transaction, for which writers wait
_CHECKPOINT_SECONDS, _VACUUM_SECONDS = 2.0, 5.0
_WINDOW = 10_000  # ids among which rows of a class are looked for at a time
_rows = table_of(DecisionRow)
_keys = table_of(DecisionKeyRow)
_volumes = table_of(DecisionVolume)


class LimitedLog:
    """Implements the storage that `app.audit.deletions` needs. `signing_key` is that of the hash chain."""

    def __init__(self, sessions: Sessions, signing_key: SigningKey | None = None) -> None:
        self._sessions = sessions
        self._signing_key = signing_key
        self._passed: dict[DecisionClass, int] = {}  # ids up to which a class has no rows

    async def sizes(self) -> Mapping[DecisionClass, int]:
        """About how many bytes the decisions of each class take. Raises BatchNotStored."""
        with without_values():
            async with self._sessions() as session:
                return await class_sizes(session)

    async def delete_excess(self, limit: SizeLimit) -> Deletion | None:
        """Delete some of the oldest decisions of the class that exceeds its limit by most, in one transaction.

        Returns None if no class exceeds its limit. Raises BatchNotStored.
        """
        if not limit.max_bytes:
            return None
        with without_values():
            async with self._sessions() as session:
                sizes = await class_sizes(session)
                excess = limit.largest_excess(sizes)
                if excess is None:
                    return None
                oldest = await self._oldest(session, excess)
            async with self._sessions() as session:
                connection = await session.connection(execution_options=LOCK_FIRST)
                await lock_log(connection)
                current = limit.largest_excess(await class_sizes(connection))
                if current is None or current.decision_class != excess.decision_class:
                    return None
                if not oldest:
                    await self._recount(connection, excess.decision_class)
                    await session.commit()
                    return None
                await retire_class(connection, self._signing_key, excess.decision_class, oldest[-1].id)
                deletion = await _delete(connection, excess.decision_class, oldest)
                await session.commit()
                return deletion

    @property
    def reuses_space(self) -> bool:
        """Whether new decisions take the space of deleted ones before it is reclaimed, as on SQLite."""
        return self._engine.dialect.name != "postgresql"

    @property
    def reclaim_seconds(self) -> float:
        """How often to reclaim space while decisions are deleted, or less often if that takes long."""
        return _VACUUM_SECONDS if self._engine.dialect.name == "postgresql" else _CHECKPOINT_SECONDS

    async def reclaim(self) -> None:
        """Make the space of deleted decisions available on PostgreSQL. Raises BatchNotStored.

        SQLite reuses it; there the write-ahead log is emptied, which grows while others read and write all the time.
        """
        with without_values():
            if self._engine.dialect.name == "postgresql":
                await reclaim(self._engine)
            else:
                await empty_write_ahead_log(self._engine)

    @property
    def _engine(self) -> AsyncEngine:
        engine: AsyncEngine = self._sessions.kw["bind"]
        return engine

    async def _oldest(self, session: AsyncSession, excess: ClassExcess) -> Sequence[Row[Any]]:
        """The oldest rows of a class, about as many as take the bytes that are too many, at most a batch."""
        dialect = dialect_of(session)
        count, byte_count = await class_rows(session, excess.decision_class)
        # On average, since what a row has of its key is not known.
        number = min(max(excess.byte_count * count // max(byte_count, 1), 1), BATCH_SIZE)
        # The rows of the previous release, which are moved with their ids, are older than others.
        is_complete = not await former_decisions.newest_id(session)
        passed = self._passed.get(excess.decision_class, 0) if is_complete else 0
        newest, rows = await newest_id(session), list[Row[Any]]()
        while passed < newest and not rows:
            # From the next id, since large ranges may have none.
            next_id = select(_rows.c.id).where(ids_after(dialect, passed)).order_by(*by_id(dialect)).limit(1)
            first = await session.scalar(next_id) or newest
            last = first + _WINDOW
            query = select(_rows.c.id, _rows.c.second).where(ids_after(dialect, first - 1, last))
            query = query.where(_is_of_class(excess.decision_class)).order_by(*by_id(dialect)).limit(number)
            rows = list(await session.execute(query))
            passed = rows[0].id - 1 if rows else min(last, newest)
        self._passed[excess.decision_class] = passed
        return rows

    async def _recount(self, connection: AsyncConnection, decision_class: DecisionClass) -> None:
        """Correct what is counted for a class of which no row is left."""
        is_later = ids_after(dialect_of(connection), self._passed[decision_class])
        later = select(_rows.c.id).where(is_later, _is_of_class(decision_class))
        if (await connection.execute(later.limit(1))).first() is not None:
            return
        of_class = _volumes.c.decision_class == decision_class
        await connection.execute(delete(_volumes).where(of_class, _volumes.c.day != OF_KEYS))
        keys_of_class = _keys.c.decision_class == DECISION_CLASSES.index(decision_class)
        unused = (await connection.execute(select(_keys.c.id).where(keys_of_class).limit(BATCH_SIZE))).scalars().all()
        changes = VolumeChanges()
        await delete_unused_keys(connection, unused, changes)
        await changes.store(connection)
        if len(unused) < BATCH_SIZE:
            await connection.execute(delete(_volumes).where(of_class))


async def _delete(
    connection: AsyncConnection, decision_class: DecisionClass, oldest: Sequence[Row[Any]]
) -> Deletion | None:
    """Delete the rows of a class between the first and the last of these, and record it."""
    seconds, changes = [row.second for row in oldest], VolumeChanges()
    # The times bound the partitions in which PostgreSQL looks.
    found = await delete_rows(
        connection,
        and_(
            ids_after(dialect_of(connection), oldest[0].id - 1, oldest[-1].id),
            _rows.c.second.between(min(seconds), max(seconds)),
            _is_of_class(decision_class),
        ),
        changes,
        decision_class,
    )
    if not found:  # another process deleted them
        return None
    await delete_unused_keys(connection, {row.key_id for row in found}, changes)
    await changes.store(connection)
    times = [row.at for row in found]
    deletion = Deletion(
        decision_class,
        last_id=max(row.id for row in found),
        first_at=min(times),
        last_at=max(times),
        count=sum(row.times for row in found),
        deleted_at=int((await database_now(connection)).timestamp() * 1_000_000),
        freed_bytes=changes.freed_bytes,
    )
    await decision_deletions.record(connection, deletion)
    return deletion


def _is_of_class(decision_class: DecisionClass) -> ColumnElement[bool]:
    own = select(_keys.c.decision_class).where(_keys.c.id == _rows.c.decision_key_id).scalar_subquery()
    return own == DECISION_CLASSES.index(decision_class)

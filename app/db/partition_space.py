"""Gives back, on PostgreSQL, the space of decisions that were deleted from a partition.

Today's partition is vacuumed, so that new decisions take the space. Those of earlier days get no more decisions: one
without any is dropped, and another is rewritten once a quarter of it is free, while readers of the log wait.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date
from typing import NamedTuple

from sqlalchemy import delete, func, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.db.decision_times import DAY
from app.db.partitions import may_change_partitions, partitions
from app.db.slow_statements import run_slowly
from app.db.tables.base import table_of
from app.db.tables.decision_volumes import OF_KEYS, DecisionVolume

MAX_REWRITTEN = 2_000_000_000  # bytes, which take less than a minute
_MIN_FREE = 500_000  # bytes
_LOCK_SECONDS = 2
_DEFAULT = "decision_rows_default"
_TABLES = (
    "decision_keys",
    "decision_callers",
    "decision_targets",
    "decision_outcomes",
    "grant_sets",
    "decision_volumes",
    "decision_deletions",
    # Each deletion clears the digests of the parts that it retires, and deletes entries.
    "chain_entries",
    "chain_parts",
)
_volumes = table_of(DecisionVolume)
# The index of a partition by which its rows are in the order of time.
_INDEX = text(
    "SELECT indexrelid::regclass::text FROM pg_index JOIN pg_inherits ON inhrelid = indexrelid "
    "WHERE indrelid = to_regclass(:partition) AND inhparent = to_regclass('ix_decision_rows_second_block')"
)


async def reclaim(engine: AsyncEngine) -> None:
    """Vacuum, drop or rewrite the partitions from which decisions were deleted.

    Raises BatchNotStored, or the errors of SQLAlchemy.
    """
    async with engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        days = await _days(connection)
        if not days:
            return
        now = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
        today = (now.astimezone(UTC).date() - date(1970, 1, 1)).days
        by_day = {partition.start // DAY: partition.name for partition in await connection.run_sync(partitions)}
        written = [by_day.get(day.day, _DEFAULT) for day in days if day.day >= today or day.day not in by_day]
        # Without those that something else vacuums now.
        await run_slowly(connection, f"VACUUM (SKIP_LOCKED) {', '.join(dict.fromkeys([*written, *_TABLES]))}")
    for day in days:
        name = by_day.get(day.day)
        if day.day < today and name is not None and (day.is_empty or day.is_sparse):
            await _release(engine, day, name)


class _Day(NamedTuple):
    """A day of which decisions were deleted."""

    day: int
    rows: int
    byte_count: int
    freed: int

    @property
    def is_empty(self) -> bool:
        """Whether no decision is left."""
        return self.rows == 0

    @property
    def is_sparse(self) -> bool:
        """Whether it is worth to rewrite what is left."""
        return self.byte_count <= MAX_REWRITTEN and self.freed >= max(_MIN_FREE, self.byte_count // 3)


async def _days(connection: AsyncConnection) -> Sequence[_Day]:
    freed = func.sum(_volumes.c.freed_bytes)
    query = (
        select(_volumes.c.day, func.sum(_volumes.c.row_count), func.sum(_volumes.c.byte_count), freed)
        .where(_volumes.c.day != OF_KEYS)
        .group_by(_volumes.c.day)
        .having(freed > 0)
    )
    return [_Day(*map(int, row)) for row in await connection.execute(query)]


async def _release(engine: AsyncEngine, day: _Day, name: str) -> None:
    """Drop the partition of a day without decisions, or rewrite it. Waits for a lock for a short time only."""
    async with engine.begin() as connection:
        await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
        if not await connection.run_sync(may_change_partitions):
            return
        await connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
        of_day = _volumes.c.day == day.day
        if (await connection.execute(text(f"SELECT 1 FROM {name} LIMIT 1"))).first() is None:  # noqa: S608  # our own name
            await connection.execute(text(f"DROP TABLE {name}"))
            await connection.execute(delete(_volumes).where(of_day))
            return
        index = await connection.scalar(_INDEX, {"partition": name})
        # In a transaction, which VACUUM FULL cannot be in. Rows stay visible to transactions that began before.
        await run_slowly(connection, f"CLUSTER {name} USING {index}")
        await connection.execute(update(_volumes).where(of_day).values(freed_bytes=0))

"""Rebuilds indexes on PostgreSQL that have been filled in no order, whose pages are two thirds full.

The index on the key of a day's partition is rebuilt once, after the day; those of `decision_keys` once a day.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.db.decision_writer import lock_log
from app.db.partitions import may_change_partitions, partitions
from app.db.slow_statements import run_slowly

MAX_DAY_BYTES = 500_000_000  # of an index of a day; reading its decisions waits for some seconds
MAX_KEYS_BYTES = 100_000_000  # of the indexes of keys; reading and writing the log waits for two seconds
_MIN_KEYS_BYTES = 1_000_000
_LATE = timedelta(hours=1)  # in which the last decisions of a day are written
_LOCK_SECONDS = 2
# A comment on the index says that it was rebuilt, or when. It is dropped with the index.
_DONE = "rebuilt after the day"
_INDEXES = text(
    "SELECT indrelid::regclass::text, indexrelid::regclass::text FROM pg_index "
    "JOIN pg_inherits ON inhrelid = indexrelid WHERE inhparent = to_regclass('ix_decision_rows_decision_key_id') "
    "AND obj_description(indexrelid, 'pg_class') IS NULL AND pg_relation_size(indexrelid) <= :most"
)
_KEYS = "pk_decision_keys"
_KEYS_STATE = text(f"SELECT pg_indexes_size('decision_keys'), obj_description('{_KEYS}'::regclass, 'pg_class')")


async def rebuild_one(connection: AsyncConnection) -> bool:
    """Rebuild the index of the first day that is over, unless it was, or the indexes of keys.

    Returns whether there may be another one. The caller commits. Raises BatchNotStored, or the errors of SQLAlchemy.
    """
    await connection.execute(text(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'"))
    if not await connection.run_sync(may_change_partitions):
        return False
    now = (await connection.execute(select(func.clock_timestamp()))).scalar_one().astimezone(UTC) - _LATE
    for index in await _indexes_before(connection, now):
        await run_slowly(connection, f"REINDEX INDEX {index}")
        await connection.execute(text(f"COMMENT ON INDEX {index} IS '{_DONE}'"))
        return True
    size, comment = (await connection.execute(_KEYS_STATE)).one()
    done = f"rebuilt on {now:%Y-%m-%d}"
    if _MIN_KEYS_BYTES <= size <= MAX_KEYS_BYTES and comment != done:
        await lock_log(connection)
        await run_slowly(connection, "REINDEX TABLE decision_keys")
        await connection.execute(text(f"COMMENT ON INDEX {_KEYS} IS '{done}'"))
    return False


async def _indexes_before(connection: AsyncConnection, now: datetime) -> Sequence[str]:
    """The indexes to rebuild of days that are over."""
    by_partition = {row[0]: row[1] for row in await connection.execute(_INDEXES, {"most": MAX_DAY_BYTES})}
    days = await connection.run_sync(partitions)
    ended = int(now.timestamp() * 1_000_000)
    return [by_partition[day.name] for day in days if day.end <= ended and day.name in by_partition]

"""Up to which id a table is settled: no row with a smaller id can still appear, so that a reader may go on after it.

The decision log is settled up to its newest id, since its writers hold a lock and commit in the order of their ids: see
`app.db.decisions.newest_id`. Decisions with a given id, which are carried over, were in the log before. On SQLite every
table has one writer at a time. On PostgreSQL a transaction may commit a smaller id later: it holds a lock on the table
from before it takes an id until it ends, and this module waits for those that hold one.
"""

from __future__ import annotations

import asyncio

from sqlalchemy import Table, func, select, text

from app.db import decisions
from app.db.session import Sessions

WAIT_SECONDS = 1.0
_POLL_SECONDS = 0.02
_WRITERS = text(
    "SELECT virtualtransaction FROM pg_locks WHERE locktype = 'relation' AND mode = 'RowExclusiveLock' "
    "AND relation = to_regclass(:table) "
    "AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
)


async def settled_decision_id(sessions: Sessions) -> int:
    """The id up to which the decision log is settled; 0 if it is empty.

    The decisions after another id and up to this one are those of `app.db.decisions.following`.
    """
    async with sessions() as session:
        return await decisions.newest_id(session)


async def settled_id(sessions: Sessions, table: Table, after: int = 0, wait_seconds: float = WAIT_SECONDS) -> int:
    """The id up to which a table is settled, read in later transactions; at least `after`, which is known to be.

    Blocks no other transaction. Returns `after` if one that may commit a smaller id takes longer than `wait_seconds`.
    """
    async with sessions() as session:
        newest = await session.scalar(select(func.max(table.c.id))) or 0
        if newest <= after or session.get_bind().dialect.name != "postgresql":
            return max(newest, after)
    # Transactions that begin from now on take greater ids.
    writers = await _writers(sessions, table)
    deadline = asyncio.get_running_loop().time() + wait_seconds
    while writers:
        if asyncio.get_running_loop().time() >= deadline:
            return after
        await asyncio.sleep(_POLL_SECONDS)
        writers &= await _writers(sessions, table)
    return newest


async def _writers(sessions: Sessions, table: Table) -> set[str]:
    """The transactions that write to a table on PostgreSQL."""
    async with sessions() as session:
        return set(await session.scalars(_WRITERS, {"table": table.name}))

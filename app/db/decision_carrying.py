"""Moves the decisions of the previous release to rows with keys, a few in each transaction, while servers run.

Servers of the previous release continue to write to their table. A move takes the decisions with the smallest ids. A
decision is in one of both tables at any time, with the same id.
"""

from __future__ import annotations

import asyncio

import structlog
from sqlalchemy import delete

from app.audit.batch import Batch
from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause
from app.db import former_decisions
from app.db.decision_keys import KeyStore
from app.db.decision_writer import insert_batch, lock_log, without_values
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import LoggedDecision

BATCH_SIZE = 500  # decisions in a transaction, for which writers wait
_PAUSE_SECONDS = 0.05
_EVERY_SECONDS = 60.0
_LOGGED_EVERY = 100_000  # decisions
_log = structlog.stdlib.get_logger("decisions")
_decisions = table_of(LoggedDecision)


async def run_carrying(sessions: Sessions, disk: DiskSpace, stop: asyncio.Event) -> None:
    """Move decisions until `stop`; when there are none, look again at intervals. Failures are logged and retried."""
    moved = reported = 0
    while not stop.is_set():
        count = 0
        try:
            if not disk.shortage:
                count = await move(sessions)
        except BatchNotStored as error:
            _log.error("decisions of the previous release are not moved yet", error=str(error))
        moved += count
        if moved > reported and (count < BATCH_SIZE or moved - reported >= _LOGGED_EVERY):
            _log.info("decisions of the previous release moved", decisions=moved)
            reported = moved
        await pause(stop, _PAUSE_SECONDS if count == BATCH_SIZE else _EVERY_SECONDS)


async def move(sessions: Sessions, limit: int = BATCH_SIZE) -> int:
    """Move at most `limit` decisions, those with the smallest ids, in one transaction; return how many.

    Raises BatchNotStored, and then none is moved.
    """
    with without_values():
        async with sessions() as session:
            if not await former_decisions.newest_id(session):
                return 0
            await session.rollback()
            connection = await session.connection(execution_options=LOCK_FIRST)
            await lock_log(connection)
            rows = await former_decisions.first(session, limit)
            if rows:
                ids = [row.id for row in rows]
                keys = KeyStore()  # new each time: after a restore, a cached id may belong to another key
                await insert_batch(connection, keys, Batch.of(row.record for row in rows), ids)
                await session.execute(delete(_decisions).where(_decisions.c.id.in_(ids)))
                await session.commit()
    return len(rows)

"""The connection on which a process receives notifications and sends heartbeats.

It does not belong to the pool, so that load does not delay it, and each statement is a transaction. Behind a pooler
there are no notifications, since a session there cannot listen; the process then polls.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from sqlalchemy import ColumnElement, delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlmodel import col

from app.db.engine import open_heartbeat_engine
from app.db.tables.base import table_of
from app.db.tables.history import PolicyRevision
from app.db.tables.replicas import Replica

CHANNEL = "authz"
KEPT = timedelta(days=1)  # after which a silent process is forgotten
# Reconnecting follows the address to a new server, even if the old one stays up.
_KEPT_SECONDS = 300.0
_log = structlog.stdlib.get_logger("policy")
_revisions = table_of(PolicyRevision)
_replicas = table_of(Replica)


@dataclass(frozen=True, slots=True)
class ReplicaReport:
    """What a process reports about itself; see `Replica`."""

    host: str
    pid: int
    version: str
    revision: str
    entry_id: int | None
    started_at: datetime
    refused: str
    files: str


class HeartbeatExpired(Exception):
    """The connection is due to be renewed; it is not broken."""


class HeartbeatConnection:
    """A heartbeat connection. It is lost after any of its methods raised."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._until = time.monotonic() + _KEPT_SECONDS

    async def head(self) -> tuple[int, str] | None:
        """The id and revision of the newest entry of the history; None before the first. Raises HeartbeatExpired."""
        if time.monotonic() >= self._until:
            raise HeartbeatExpired
        newest = select(_revisions.c.id, _revisions.c.revision).order_by(_revisions.c.id.desc()).limit(1)
        async with self._connection.begin():
            row = (await self._connection.execute(newest)).one_or_none()
        return (row.id, row.revision) if row else None

    async def beat(self, row_id: int | None, report: ReplicaReport) -> int:
        """Send a heartbeat. Returns the id of the process's row, a new one if it has none."""
        values: dict[str, Any] = {**asdict(report), "seen_at": clock_of(self._connection.dialect.name)}
        async with self._connection.begin():
            if row_id is not None:
                same = update(_replicas).where(_replicas.c.id == row_id).values(values)
                if (await self._connection.execute(same)).rowcount:
                    return row_id
            made = insert(_replicas).values(values).returning(_replicas.c.id)
            return int((await self._connection.execute(made)).scalar_one())

    async def leave(self, row_id: int) -> None:
        """Delete the row of a process that stops."""
        async with self._connection.begin():
            await self._connection.execute(delete(_replicas).where(_replicas.c.id == row_id))

    async def forget(self) -> None:
        """Delete the rows of processes that have been silent for `KEPT`."""
        now = (await self._now()).astimezone(UTC)
        async with self._connection.begin():
            await self._connection.execute(delete(_replicas).where(col(Replica.seen_at) < now - KEPT))

    async def _now(self) -> datetime:
        if self._connection.dialect.name != "postgresql":
            return datetime.now(UTC)
        async with self._connection.begin():
            now: datetime = (await self._connection.execute(select(func.now()))).scalar_one()
        return now


def clock_of(dialect: str) -> ColumnElement[datetime] | datetime:
    """Now, by the clock of PostgreSQL, which many machines share; else by the clock of this machine."""
    return func.now() if dialect == "postgresql" else datetime.now(UTC)


@asynccontextmanager
async def open_heartbeat_connection(
    url: str, on_notification: Callable[[str], None], on_lost: Callable[[], None]
) -> AsyncIterator[HeartbeatConnection]:
    """Open a heartbeat connection to the database of a URL.

    On PostgreSQL `on_notification` is called with each notification, unless it is behind a pooler, and `on_lost` when
    the connection ends.
    """
    engine = open_heartbeat_engine(url)
    try:
        async with engine.connect() as connection:
            try:
                if connection.dialect.name == "postgresql":
                    await _listen(connection, on_notification, on_lost)
                yield HeartbeatConnection(connection)
            except BaseException:
                # Closed abruptly, since a database that does not answer would delay a clean close.
                await connection.invalidate()
                raise
    finally:
        await engine.dispose()


async def _listen(
    connection: AsyncConnection, on_notification: Callable[[str], None], on_lost: Callable[[], None]
) -> None:
    session: Any = (await connection.get_raw_connection()).driver_connection
    session.add_termination_listener(lambda _: on_lost())
    if session.is_pooled:
        _log.info("a pooler is in front of PostgreSQL: changes are polled every second and not notified")
        return
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    await session.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: on_notification(payload))

"""A process's own connection to the database: news come in by it, and on it the process says that it lives.

It is none of the pool's, so that no load keeps it waiting, and each statement on it is a transaction. Behind a pooler
it hears nothing, for a session that listens is not ours there; what changes is then learned by asking.
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

from app.db.engine import open_line_engine
from app.db.tables.base import table_of
from app.db.tables.history import PolicyRevision
from app.db.tables.replicas import Replica

CHANNEL = "authz"
KEPT = timedelta(days=1)  # a process that was not seen for so long is forgotten
# Also where the old server stays up, the connection follows the address to a new one.
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
    """The connection is due to be made again; nothing is wrong with it."""


class HeartbeatConnection:
    """The connection. Whatever its methods raise, it is lost then."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection
        self._until = time.monotonic() + _KEPT_SECONDS

    async def head(self) -> tuple[int, str] | None:
        """Id and revision of the newest entry of the history; None before the first. Raises HeartbeatExpired."""
        if time.monotonic() >= self._until:
            raise HeartbeatExpired
        newest = select(_revisions.c.id, _revisions.c.revision).order_by(_revisions.c.id.desc()).limit(1)
        async with self._connection.begin():
            row = (await self._connection.execute(newest)).one_or_none()
        return (row.id, row.revision) if row else None

    async def beat(self, row_id: int | None, report: ReplicaReport) -> int:
        """Say that the process lives. Returns the id of its row, which is a new one where it has none."""
        values: dict[str, Any] = {**asdict(report), "seen_at": clock_of(self._connection.dialect.name)}
        async with self._connection.begin():
            if row_id is not None:
                same = update(_replicas).where(_replicas.c.id == row_id).values(values)
                if (await self._connection.execute(same)).rowcount:
                    return row_id
            made = insert(_replicas).values(values).returning(_replicas.c.id)
            return int((await self._connection.execute(made)).scalar_one())

    async def leave(self, row_id: int) -> None:
        """Say that the process stops."""
        async with self._connection.begin():
            await self._connection.execute(delete(_replicas).where(_replicas.c.id == row_id))

    async def forget(self) -> None:
        """Forget those that were not seen for long."""
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
    """Now: by the clock of a database that many machines share, else by this machine's."""
    return func.now() if dialect == "postgresql" else datetime.now(UTC)


@asynccontextmanager
async def open_heartbeat_connection(
    url: str, hear: Callable[[str], None], lost: Callable[[], None]
) -> AsyncIterator[HeartbeatConnection]:
    """A line to the database of a URL. On PostgreSQL `hear` is called with each notification, and `lost` at its end.

    Behind a pooler there are no notifications.
    """
    engine = open_line_engine(url)
    try:
        async with engine.connect() as connection:
            try:
                if connection.dialect.name == "postgresql":
                    await _listen(connection, hear, lost)
                yield HeartbeatConnection(connection)
            except BaseException:
                # Ended without a farewell, for which a database that does not answer would be waited for.
                await connection.invalidate()
                raise
    finally:
        await engine.dispose()


async def _listen(connection: AsyncConnection, hear: Callable[[str], None], lost: Callable[[], None]) -> None:
    session: Any = (await connection.get_raw_connection()).driver_connection
    session.add_termination_listener(lambda _: lost())
    if session.is_pooled:
        _log.info("a pooler is in front of PostgreSQL, so changes are asked for every second and not notified")
        return
    await connection.execution_options(isolation_level="AUTOCOMMIT")
    await session.add_listener(CHANNEL, lambda _connection, _pid, _channel, payload: hear(payload))

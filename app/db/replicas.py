"""The serving processes, as they reported to the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.heartbeat_connection import clock_of
from app.db.tables.replicas import Replica


async def all_seen(session: AsyncSession) -> tuple[Sequence[Replica], datetime]:
    """All processes in the order of their first report, and the time by the clock of their reports."""
    rows = (await session.scalars(select(Replica).order_by(col(Replica.id)))).all()
    clock = clock_of(session.get_bind().dialect.name)
    now = clock if isinstance(clock, datetime) else await session.scalar(select(clock))
    return rows, now or datetime.now(UTC)

"""The processes that serve, as they told the database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.heartbeat_connection import clock_of
from app.db.tables.replicas import Replica


async def all_seen(session: AsyncSession) -> tuple[Sequence[Replica], datetime]:
    """Every process that is not forgotten, the longest known first, and the time by the clock that they go by."""
    rows = (await session.scalars(select(Replica).order_by(col(Replica.id)))).all()
    clock = clock_of(session.get_bind().dialect.name)
    now = clock if isinstance(clock, datetime) else await session.scalar(select(clock))
    return rows, now or datetime.now(UTC)

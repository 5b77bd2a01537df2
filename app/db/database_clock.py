"""The time by which rows are old enough to be deleted, which a process with a wrong clock does not decide.

On PostgreSQL it is the server's time. SQLite has no clock but that of the machine: there a time counts once a row that
was written at it is a day old. When the clock jumps ahead, nothing is deleted by it for a day.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import SQLColumnExpression, func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

CONFIRMED_AFTER = timedelta(days=1)


async def database_now(session: AsyncSession | AsyncConnection, now: datetime | None = None) -> datetime:
    """Now, by the clock of PostgreSQL; on SQLite `now`, by default by the clock of this machine."""
    bind = session if isinstance(session, AsyncConnection) else session.get_bind()
    if bind.dialect.name != "postgresql":
        return now or datetime.now(UTC)
    found: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return found.astimezone(UTC)


async def confirmed_now(session: AsyncSession, now: datetime, written_at: SQLColumnExpression[Any]) -> datetime | None:
    """The time by which rows may be deleted: `now`, which is that of `database_now`, as far as it is trusted.

    On SQLite that is the newest time in a column which is a day before `now`; None if there is none.
    """
    if session.get_bind().dialect.name == "postgresql":
        return now
    confirmed: datetime | None = await session.scalar(
        select(func.max(written_at)).where(written_at <= now - CONFIRMED_AFTER)
    )
    return confirmed


class ConfirmedClock:
    """Advances with the uptime of the process from the newest confirmed time, and is never ahead of the machine."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._confirmed: int | None = None
        self._at = 0.0

    def read(self, now: int, confirmed: int | None) -> int | None:
        """The time, given that of the machine and what is confirmed now; None if nothing ever was.

        All times are in microseconds since 1970.
        """
        read_at = self._monotonic()
        times = [] if confirmed is None else [confirmed]
        if self._confirmed is not None:
            times.append(self._confirmed + int((read_at - self._at) * 1_000_000))
        if times:
            self._confirmed, self._at = min(now, max(times)), read_at
        return self._confirmed

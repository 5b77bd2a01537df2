"""Forms that can be used once: sending one again has no effect."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.database_clock import confirmed_now, database_now
from app.db.tables.console import UsedForm

# The longest session: after it a form is refused for its CSRF token.
KEPT = timedelta(days=1)


async def use(session: AsyncSession, digest: bytes, now: datetime) -> bool:
    """Record that a form is used; return False if it was used before, and then the transaction is lost.

    Forms that are old by the clock of the database are deleted; `now` counts on SQLite alone.
    """
    used_at = await database_now(session, now)
    session.add(UsedForm(digest=digest, used_at=used_at))
    try:
        await session.flush()  # first: on SQLite a transaction that has read may fail at once when it writes
    except IntegrityError:
        return False
    confirmed = await confirmed_now(session, used_at, col(UsedForm.used_at))
    if confirmed is not None:
        await session.execute(delete(UsedForm).where(col(UsedForm.used_at) < confirmed - KEPT))
    return True

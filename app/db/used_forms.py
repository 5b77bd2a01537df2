"""Forms that are good once: sending one again does nothing again."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import delete
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.console import UsedForm

# As long as a session may last: after it a form is refused for its CSRF token.
KEPT = timedelta(days=1)


async def use(session: AsyncSession, digest: bytes, now: datetime) -> bool:
    """Note that a form is used, in the transaction of what it does; False when it was before, and that is lost."""
    await session.execute(delete(UsedForm).where(col(UsedForm.used_at) < now - KEPT))
    session.add(UsedForm(digest=digest, used_at=now))
    try:
        await session.flush()
    except IntegrityError:
        return False
    return True

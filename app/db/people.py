"""Whether a person is blocked."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth import Person


async def is_blocked(session: AsyncSession, subject: str) -> bool:
    """Whether an administrator has blocked the user with this `sub`."""
    blocked = select(col(Person.id)).where(col(Person.subject) == subject, col(Person.blocked_at).is_not(None))
    return await session.scalar(blocked) is not None

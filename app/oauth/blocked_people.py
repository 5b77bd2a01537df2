"""Lists the people who are blocked, for administrators, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey
from app.db.tables.oauth import Person


@dataclass(frozen=True, slots=True)
class PersonBlock:
    """A block of a person. `signed_in_at` is null for one who never signed in here."""

    id: int
    subject: str
    blocked_at: datetime
    signed_in_at: datetime | None


async def page_of_blocks(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[PersonBlock]:
    """The people who are blocked, those who were first seen last first, or of these those with an id below `before`."""
    blocked_at = col(Person.blocked_at)
    query = select(Person).where(blocked_at.is_not(None)).order_by(col(Person.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(Person.id) < before)
    return [
        PersonBlock(row.id, row.subject, row.blocked_at, row.signed_in_at)
        for row in await session.scalars(query)
        if row.blocked_at is not None
    ]


async def is_known(session: AsyncSession, subject: str) -> bool:
    """Whether a `sub` ever signed in here, or had an API key."""
    signed_in = exists().where(col(Person.subject) == subject, col(Person.signed_in_at).is_not(None))
    with_key = exists().where(col(ApiKey.subject) == subject)
    return bool(await session.scalar(select(or_(signed_in, with_key))))

"""Lists what users allow an app, for administrators, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth import AppGrant, Person


@dataclass(frozen=True, slots=True)
class UserGrant:
    """What a user allows an app. `user` is their `sub`, `changed_at` the time of the last consent."""

    id: int
    user: str
    scopes: list[str]
    created_at: datetime
    changed_at: datetime
    last_used_at: datetime | None


async def page_of_user_grants(
    session: AsyncSession, app_id: int, *, before: int | None, limit: int
) -> Sequence[UserGrant]:
    """The newest consents to an app that are not revoked, or the newest of those with an id below `before`."""
    grant = col(AppGrant.id)
    query = (
        select(AppGrant, col(Person.subject))
        .join(Person, col(Person.id) == col(AppGrant.person_id))
        .where(col(AppGrant.app_id) == app_id, col(AppGrant.revoked_at).is_(None))
        .order_by(grant.desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(grant < before)
    return [
        UserGrant(row.id, user, list(row.scopes), row.created_at, row.changed_at, row.last_used_at)
        for row, user in await session.execute(query)
    ]

"""Deletes apps that no user allows anything and no administrator registered."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.database_clock import confirmed_now, database_now
from app.db.tables.oauth import AppGrant
from app.db.tables.oauth_clients import OAuthClient

MOST = 200  # in a transaction
_FORGOTTEN = timedelta(days=1)  # after the last consent to an app was deleted, and after a change of it


async def delete_unused_apps(session: AsyncSession, now: datetime) -> None:
    """Delete some of the apps that registered themselves and expired, and of those that no user allows any more.

    A disabled app stays, since it would be enabled if it came again. A time by the clock of the database counts.
    """
    confirmed = await confirmed_now(session, await database_now(session, now), col(OAuthClient.created_at))
    if confirmed is None:
        return
    app, expires = col(OAuthClient.id), col(OAuthClient.expires_at)
    is_allowed = select(col(AppGrant.id)).where(col(AppGrant.app_id) == app).exists()
    forgotten = and_(expires.is_(None), col(OAuthClient.changed_at) <= confirmed - _FORGOTTEN, ~is_allowed)
    unused = (
        select(app)
        .where(col(OAuthClient.kind).in_(("dynamic", "document")), col(OAuthClient.disabled_at).is_(None))
        .where(or_(expires <= confirmed, forgotten))
        .limit(MOST)
    )
    ended = delete(OAuthClient).where(app.in_(unused))
    await session.execute(ended, execution_options={"synchronize_session": False})

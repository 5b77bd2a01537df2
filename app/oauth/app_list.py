"""Lists the registry of apps for administrators, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.fields import MAX_ID
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.client import ClientKind
from app.oauth.clients import find_row
from app.oauth.refusals import NoSuchApp

AppStatus = Literal["enabled", "disabled"]
STATUSES: tuple[AppStatus, ...] = ("enabled", "disabled")


@dataclass(frozen=True, slots=True)
class AppFilter:
    """Apps that match all fields that are set."""

    client_id: str | None = None
    kind: ClientKind | None = None
    status: AppStatus | None = None


async def page_of_apps(
    session: AsyncSession, selected: AppFilter, now: datetime, *, before: int | None, limit: int
) -> Sequence[OAuthClient]:
    """The newest apps that match, or the newest of those with an id below `before`."""
    if selected.client_id is not None and not selected.client_id.isprintable():
        return ()  # PostgreSQL has no NUL in text
    app, expires = col(OAuthClient.id), col(OAuthClient.expires_at)
    query = select(OAuthClient).where(or_(expires.is_(None), expires > now)).order_by(app.desc()).limit(limit)
    if before is not None:
        query = query.where(app < before)
    if selected.client_id is not None:
        query = query.where(col(OAuthClient.client_id) == selected.client_id)
    if selected.kind is not None:
        query = query.where(col(OAuthClient.kind) == selected.kind)
    if selected.status is not None:
        disabled = col(OAuthClient.disabled_at)
        query = query.where(disabled.is_(None) if selected.status == "enabled" else disabled.is_not(None))
    return (await session.scalars(query)).all()


async def find_app(session: AsyncSession, app_id: int | None) -> OAuthClient:
    """The app with this id. Raises NoSuchApp."""
    row = None
    if app_id is not None and 0 < app_id <= MAX_ID:
        row = (await session.scalars(select(OAuthClient).where(col(OAuthClient.id) == app_id))).one_or_none()
    if row is None:
        raise NoSuchApp
    return row


async def app_id_of(session: AsyncSession, client_id: str) -> int:
    """The id of the app with a client id. Raises NoSuchApp."""
    row = await find_row(session, client_id)
    if row is None:
        raise NoSuchApp
    return row.id

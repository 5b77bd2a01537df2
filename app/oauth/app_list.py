"""Lists the registry of apps for administrators, a page at a time."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.fields import MAX_ID
from app.db.tables.oauth import AppGrant
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.app_view import AppView, view_of_app
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


async def view_apps(session: AsyncSession, rows: Sequence[OAuthClient], now: datetime) -> list[AppView]:
    """View apps, with how many users allow each of them something now."""
    counts = await _grants(session, [row.id for row in rows])
    return [view_of_app(row, now, grants=counts.get(row.id, 0)) for row in rows]


async def view_app(session: AsyncSession, row: OAuthClient, now: datetime) -> AppView:
    """View an app as `view_apps` does."""
    (view,) = await view_apps(session, [row], now)
    return view


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


async def _grants(session: AsyncSession, app_ids: Collection[int]) -> Mapping[int, int]:
    app = col(AppGrant.app_id)
    active = (app.in_(app_ids), col(AppGrant.revoked_at).is_(None))
    found = await session.execute(select(app, func.count()).where(*active).group_by(app))
    return {app_id: count for app_id, count in found}  # noqa: C416  # to mypy a row is not a pair

"""What a user allowed: lists the apps, and ends the access of one or of all. Each act is one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.actor import Actor
from app.audit.admin_log import Detail
from app.db import admin_actions
from app.db.disk import carry_out
from app.db.session import lock_first
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.grants import AllowedApp, end_grants
from app.oauth.refusals import AppRefused


class NoSuchGrant(AppRefused):
    """The user allowed no such access, or has ended it."""

    def __init__(self) -> None:
        super().__init__("Grant not found.")


@dataclass(frozen=True, slots=True)
class GrantView:
    """An app that a user allowed something. `host` is null unless all of its redirects are https on one host.

    `created_at` is the first consent, `changed_at` the last one; `last_used_at` is written about once a minute.
    """

    id: int
    client_id: str
    name: str
    host: str | None
    kind: str
    scopes: list[str]
    created_at: datetime
    changed_at: datetime
    last_used_at: datetime | None
    is_app_enabled: bool


@dataclass(frozen=True, slots=True)
class EndedGrants:
    """How many accesses of apps were ended."""

    ended: int


def view_of_grant(allowed: AllowedApp) -> GrantView:
    """View a consent with its app."""
    grant, app = allowed.grant, allowed.app
    return GrantView(
        id=grant.id,
        client_id=app.client_id,
        name=app.name,
        host=app.host,
        kind=app.kind,
        scopes=list(grant.scopes),
        created_at=grant.created_at,
        changed_at=grant.changed_at,
        last_used_at=grant.last_used_at,
        is_app_enabled=app.disabled_at is None,
    )


async def end_own_grant(session: AsyncSession, subject: str, grant_id: int | None, by: Actor, now: datetime) -> int:
    """End the access of one app, and return the id of the consent. Raises NoSuchGrant, for another user's too."""
    ended = await _end(session, subject, by, now, grant_id=grant_id or 0)
    if not ended:
        raise NoSuchGrant
    return ended[0]


async def end_own_grants(session: AsyncSession, subject: str, by: Actor, now: datetime) -> Sequence[int]:
    """End the access of all apps, and return the ids of the consents that ended."""
    return await _end(session, subject, by, now)


async def record_ends(
    session: AsyncSession, ended: Sequence[tuple[int, int]], subject: str, by: Actor, now: datetime
) -> None:
    """Record in the admin log that consents of a user ended, given with the ids of their apps."""
    found = await session.execute(
        select(col(OAuthClient.id), col(OAuthClient.client_id), col(OAuthClient.name)).where(
            col(OAuthClient.id).in_([app_id for _, app_id in ended])
        )
    )
    apps = {row[0]: (row[1], row[2]) for row in found}
    for grant_id, app_id in ended:
        client_id, name = apps[app_id]
        details: dict[str, Detail] = {"grant": grant_id, "user": subject, "name": name}
        admin_actions.record(session, by, "consent.end", f"app:{client_id}", now=now, details=details)


async def _end(
    session: AsyncSession, subject: str, by: Actor, now: datetime, *, grant_id: int | None = None
) -> Sequence[int]:
    async def end() -> Sequence[int]:
        await lock_first(session)
        ended = await end_grants(session, subject, now, grant_id=grant_id)
        await record_ends(session, ended, subject, by, now)
        await session.commit()
        return [each for each, _ in ended]

    return await carry_out(session, end)

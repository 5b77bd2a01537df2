"""Consents: what a user allowed an app. None of these functions commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.fields import MAX_ID
from app.db.tables.oauth import AccessToken, AppGrant, AuthorizationCode, Person, TokenFamily
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.lifetimes import GRANTS, KEPT

# The last use is not a log: once a minute shows well enough that an app is in use.
LAST_USED_EVERY = timedelta(seconds=60)


class TooManyGrants(Exception):
    """The user allowed as many apps as one may."""


@dataclass(frozen=True, slots=True)
class AllowedApp:
    """A consent that is not revoked, and the app that it is for."""

    grant: AppGrant
    app: OAuthClient


async def find_grant(session: AsyncSession, subject: str, app_id: int) -> AppGrant | None:
    """The consent of a user for an app; None if there is none, or it was revoked."""
    query = select(AppGrant).join(Person, col(Person.id) == col(AppGrant.person_id))
    active = (col(Person.subject) == subject, col(AppGrant.app_id) == app_id, col(AppGrant.revoked_at).is_(None))
    return (await session.scalars(query.where(*active))).one_or_none()


async def store_grant(
    session: AsyncSession, person: Person, app: OAuthClient, scopes: Collection[str], now: datetime
) -> AppGrant:
    """Store a consent, or add the scopes to the one that there is. Raises TooManyGrants.

    Consents to the app as it was before are replaced, not extended, and with them ends what had more scopes. The
    transaction must have begun with a lock.
    """
    ended = (col(AppGrant.person_id) == person.id, col(AppGrant.revoked_at) <= now - KEPT)
    await session.execute(delete(AppGrant).where(*ended), execution_options={"synchronize_session": False})
    grant = await find_grant(session, person.subject, app.id)
    if grant is None:
        active = (col(AppGrant.person_id) == person.id, col(AppGrant.revoked_at).is_(None))
        if (await session.scalars(select(func.count()).select_from(AppGrant).where(*active))).one() >= GRANTS:
            raise TooManyGrants
        grant = AppGrant(person_id=person.id, app_id=app.id, scopes=[], app_version="", created_at=now, changed_at=now)
        session.add(grant)
    elif grant.app_version != app.version:
        await _end_wider(session, grant.id, scopes, now)
    before = grant.scopes if grant.app_version == app.version else []
    grant.scopes = sorted({*before, *scopes})
    grant.app_version, grant.changed_at = app.version, now
    await session.flush()
    return grant


async def _end_wider(session: AsyncSession, grant_id: int, scopes: Collection[str], now: datetime) -> None:
    """End the families of a consent with other scopes than these, and the codes that were not exchanged."""
    unused = (col(AuthorizationCode.grant_id) == grant_id, col(AuthorizationCode.family_id).is_(None))
    await session.execute(delete(AuthorizationCode).where(*unused), execution_options={"synchronize_session": False})
    active = (col(TokenFamily.grant_id) == grant_id, col(TokenFamily.revoked_at).is_(None))
    for family in await session.scalars(select(TokenFamily).where(*active)):
        if not set(family.scopes).issubset(scopes):
            family.revoked_at = now


async def list_grants(
    session: AsyncSession, subject: str, *, before: int | None = None, limit: int = GRANTS
) -> Sequence[AllowedApp]:
    """The consents of a user, newest first, or those with an id below `before`."""
    query = (
        select(AppGrant, OAuthClient)
        .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
        .join(Person, col(Person.id) == col(AppGrant.person_id))
        .where(col(Person.subject) == subject, col(AppGrant.revoked_at).is_(None))
        .order_by(col(AppGrant.id).desc())
        .limit(limit)
    )
    if before is not None:
        query = query.where(col(AppGrant.id) < before)
    return [AllowedApp(grant, app) for grant, app in await session.execute(query)]


async def lock_grants(session: AsyncSession, app_id: int) -> None:
    """Lock all consents to an app with what comes from them, before they are deleted with the app.

    In the order in which the token endpoint locks them: the other way round each could wait for the other. The app is
    locked, so that no further consents appear.
    """
    grants = select(col(AppGrant.id)).where(col(AppGrant.app_id) == app_id)
    families = select(col(TokenFamily.id)).where(col(TokenFamily.grant_id).in_(grants))
    codes = select(col(AuthorizationCode.id)).where(col(AuthorizationCode.grant_id).in_(grants))
    tokens = select(col(AccessToken.id)).where(col(AccessToken.family_id).in_(families))
    for rows in (codes, families, tokens, grants):
        await session.execute(select(func.count()).select_from(rows.with_for_update().subquery()))


async def end_grants(
    session: AsyncSession, subject: str, now: datetime, *, grant_id: int | None = None
) -> list[tuple[int, int]]:
    """Revoke the consents of a user, or one of them; return the ids of each one that ended, and of its app.

    All tokens that come from it end with it.
    """
    if grant_id is not None and not 0 < grant_id <= MAX_ID:  # a driver raises for a number beyond 64 bits
        return []
    own = select(col(Person.id)).where(col(Person.subject) == subject).scalar_subquery()
    change = update(AppGrant).where(col(AppGrant.person_id) == own, col(AppGrant.revoked_at).is_(None))
    if grant_id is not None:
        change = change.where(col(AppGrant.id) == grant_id)
    ended = change.values(revoked_at=now).returning(col(AppGrant.id), col(AppGrant.app_id))
    rows = await session.execute(ended, execution_options={"synchronize_session": False})
    return [(row[0], row[1]) for row in rows]


async def touch_grants(session: AsyncSession, grant_ids: Collection[int], now: datetime) -> None:
    """Record that apps used these consents, unless that was recorded within the last minute."""
    stale = or_(col(AppGrant.last_used_at).is_(None), col(AppGrant.last_used_at) < now - LAST_USED_EVERY)
    used = update(AppGrant).where(col(AppGrant.id).in_(sorted(grant_ids)), stale).values(last_used_at=now)
    await session.execute(used, execution_options={"synchronize_session": False})

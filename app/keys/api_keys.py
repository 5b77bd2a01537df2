"""API keys in the database. None of these functions commits."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.fields import MAX_ID
from app.db.tables.keys import ApiKey
from app.identity.api_keys import KeyRecord, MintedKey
from app.keys.refusals import NoSuchKey
from app.keys.status import accepted
from app.keys.view import ViewedKey

# `last_used_at` is not a log: once a minute shows well enough that a key is in use.
LAST_USED_EVERY = timedelta(seconds=60)


async def insert(
    session: AsyncSession,
    *,
    subject: str,
    name: str,
    new: MintedKey,
    scopes: Sequence[str],
    now: datetime,
    expires_at: datetime | None = None,
    token_grants: Collection[str] | None = None,
    organization: str | None = None,
    membership_grants: Collection[str] | None = None,
    created_by: str | None = None,
) -> ApiKey:
    """Store the digest and the prefix of a new key. The remaining arguments are as in a KeyRecord.

    `created_by` is the `sub` of the person who issues the key of an organization.
    """
    key = ApiKey(
        subject=subject,
        name=name,
        environment=new.environment,
        key_prefix=new.prefix,
        digest=new.digest,
        scopes=list(scopes),
        created_at=now,
        expires_at=expires_at,
        token_grants=None if token_grants is None else sorted(token_grants),
        organization=organization,
        membership_grants=None if membership_grants is None else sorted(membership_grants),
        created_by=created_by,
    )
    session.add(key)
    await session.flush()
    return key


async def list_for(session: AsyncSession, subject: str) -> Sequence[ApiKey]:
    """All keys of a subject, newest first."""
    newest_first = (col(ApiKey.created_at).desc(), col(ApiKey.id).desc())
    return (await session.scalars(select(ApiKey).where(col(ApiKey.subject) == subject).order_by(*newest_first))).all()


async def page_for(session: AsyncSession, subject: str, *, before: int | None, limit: int) -> list[ViewedKey]:
    """The newest keys of a subject, or the newest of those with an id below `before`."""
    key = col(ApiKey.id)
    query = _VIEWED.where(col(ApiKey.subject) == subject).order_by(key.desc()).limit(limit)
    return list(map(ViewedKey._make, await session.execute(query if before is None else query.where(key < before))))


async def get_for(session: AsyncSession, subject: str, key_id: int) -> ApiKey | None:
    """A subject's own key; None if it does not exist or belongs to another subject."""
    return (await session.scalars(select(ApiKey).where(_own(subject, key_id)))).one_or_none()


async def own_key(session: AsyncSession, subject: str, key_id: int | None) -> ApiKey:
    """As `get_for`. Raises NoSuchKey instead, and for an id that is None."""
    key = await get_for(session, subject, key_id) if key_id is not None else None
    if key is None:
        raise NoSuchKey
    return key


async def successor_of(session: AsyncSession, key: ApiKey) -> ApiKey | None:
    """The key of the same owner that replaced one that was rotated."""
    return await get_for(session, key.subject, key.successor_id) if key.successor_id is not None else None


async def expire(session: AsyncSession, subject: str, key_id: int, now: datetime, until: datetime) -> ApiKey | None:
    """Let a subject's own active key expire at `until`, unless it expires before that, and return it.

    None if there is no such key, or it is revoked, expired or superseded.
    """
    expires_at = col(ApiKey.expires_at)
    active = and_(_own(subject, key_id), accepted(now), col(ApiKey.successor_id).is_(None))
    # One statement, so that of two at the same time neither extends what the other shortened.
    sooner = case((expires_at < until, expires_at), else_=until)
    change = update(ApiKey).where(active).values(expires_at=sooner).returning(ApiKey)
    options = {"synchronize_session": False, "populate_existing": True}
    return (await session.scalars(change, execution_options=options)).one_or_none()


async def find_by_digest(session: AsyncSession, digest: bytes) -> KeyRecord | None:
    """The record of the key with this SHA-256, also if it is revoked or expired."""
    found = (await session.execute(RECORD.where(col(ApiKey.digest) == digest))).one_or_none()
    return record_of(found) if found else None


def record_of(found: Any) -> KeyRecord:  # the type of a row differs by version of SQLAlchemy
    """The record of a key, from a row of RECORD or an ApiKey."""
    return KeyRecord(
        id=found.id,
        subject=found.subject,
        environment=found.environment,
        scopes=frozenset(found.scopes),
        digest=found.digest,
        expires_at=found.expires_at,
        revoked_at=found.revoked_at,
        token_grants=None if found.token_grants is None else frozenset(found.token_grants),
        organization=found.organization,
        membership_grants=frozenset(found.membership_grants or ()),
        prefix=found.key_prefix.partition("_")[0],
    )


async def touch(session: AsyncSession, key_ids: Collection[int], now: datetime) -> None:
    """Record that these keys were used, unless that was recorded within the last minute."""
    stale = or_(col(ApiKey.last_used_at).is_(None), col(ApiKey.last_used_at) < now - LAST_USED_EVERY)
    used = update(ApiKey).where(col(ApiKey.id).in_(sorted(key_ids)), stale).values(last_used_at=now)
    await session.execute(used, execution_options={"synchronize_session": False})


def _own(subject: str, key_id: int) -> ColumnElement[bool]:
    # A driver raises for a number beyond 64 bits, and no key has it as its id.
    return and_(col(ApiKey.id) == (key_id if 0 < key_id <= MAX_ID else None), col(ApiKey.subject) == subject)


RECORD = select(
    col(ApiKey.id),
    col(ApiKey.subject),
    col(ApiKey.environment),
    col(ApiKey.scopes),
    col(ApiKey.digest),
    col(ApiKey.expires_at),
    col(ApiKey.revoked_at),
    col(ApiKey.token_grants),
    col(ApiKey.organization),
    col(ApiKey.membership_grants),
    col(ApiKey.key_prefix),
)
_VIEWED: Select[Any] = select(*(getattr(ApiKey, column) for column in ViewedKey._fields))

"""Revokes keys, and records who did it in the same transaction."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.actor import Actor
from app.db.disk import carry_out
from app.db.engine import LOCK_FIRST
from app.db.tables.fields import MAX_ID
from app.db.tables.keys import ApiKey
from app.keys.admin_log import RevokedKey, record_revocation
from app.keys.capacity import lock_owner
from app.keys.refusals import NoSuchKey

CHUNK = 200  # keys in a transaction, so that its locks are held briefly


async def revoke_key(session: AsyncSession, key_id: int, by: Actor, now: datetime) -> ApiKey | None:
    """Revoke a key of any owner, commit and return it; None if there is none. Revoking again records nothing."""
    return await _revoke(session, key_id, by, now, owner=None)


async def revoke_key_of(session: AsyncSession, owner: str, key_id: int | None, by: Actor, now: datetime) -> ApiKey:
    """Revoke a key of an owner, as `revoke_key`. Raises NoSuchKey, for a key of another owner too."""
    key = await _revoke(session, key_id or 0, by, now, owner=owner)
    if key is None:
        raise NoSuchKey
    return key


async def revoke_keys_of(session: AsyncSession, owner: str, by: Actor, now: datetime) -> AsyncIterator[int]:
    """Revoke every key of an owner, expired ones too, and yield the ids of those that were not revoked before.

    They are yielded after the commit. Keys that the owner issues meanwhile are left out, so that this ends.
    """
    key, after, newest = col(ApiKey.id), 0, None

    async def revoke() -> tuple[Sequence[int], list[RevokedKey]]:
        await session.connection(execution_options=LOCK_FIRST)
        query = select(key).where(col(ApiKey.subject) == owner, col(ApiKey.revoked_at).is_(None))
        ids = (await session.scalars(query.where(key > after, key <= newest).order_by(key).limit(CHUNK))).all()
        ended = await _end(session, ids, now, owner)
        for each in ended:
            record_revocation(session, by, each, now, all_of_owner=True)
        await session.commit()
        return ids, ended

    await lock_owner(session, owner)  # a key whose issue is under way is revoked too
    newest = await session.scalar(select(func.max(key)).where(col(ApiKey.subject) == owner))
    await session.rollback()
    while newest is not None:
        ids, ended = await carry_out(session, revoke)
        for each in ended:
            yield each.id
        if len(ids) < CHUNK:
            return
        after = ids[-1]


async def _revoke(session: AsyncSession, key_id: int, by: Actor, now: datetime, *, owner: str | None) -> ApiKey | None:
    if not 0 < key_id <= MAX_ID:  # a driver raises for a number beyond 64 bits
        return None

    async def revoke() -> ApiKey | None:
        await session.connection(execution_options=LOCK_FIRST)  # what is read here decides what is written
        for each in await _end(session, [key_id], now, owner):
            record_revocation(session, by, each, now)
        # Refreshed, since a request may have loaded it before.
        query = select(ApiKey).where(*_among([key_id], owner)).execution_options(populate_existing=True)
        key = await session.scalar(query)
        await session.commit()
        return key

    return await carry_out(session, revoke)


async def _end(session: AsyncSession, ids: Iterable[int], now: datetime, owner: str | None) -> list[RevokedKey]:
    """Revoke those of the keys that are not revoked yet, only those of `owner` if it is given."""
    change = update(ApiKey).where(*_among(ids, owner), col(ApiKey.revoked_at).is_(None))
    returned = change.values(revoked_at=now).returning(col(ApiKey.id), col(ApiKey.key_prefix), col(ApiKey.subject))
    rows = await session.execute(returned, execution_options={"synchronize_session": False})
    return [RevokedKey(*row) for row in rows]


def _among(ids: Iterable[int], owner: str | None) -> list[ColumnElement[bool]]:
    those: list[ColumnElement[bool]] = [col(ApiKey.id).in_(list(ids))]
    return those if owner is None else [*those, col(ApiKey.subject) == owner]

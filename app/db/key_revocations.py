"""Revocations of other people's keys, each stored with who did it in the transaction that does it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, update
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db import api_keys
from app.db.disk import with_last_space
from app.db.engine import LOCK_FIRST
from app.db.tables.fields import MAX_ID
from app.db.tables.history import AdminAction
from app.db.tables.keys import ApiKey

ACTION = "key.revoke"
CHUNK = 200  # keys in a transaction, so that nobody waits long for its locks


@dataclass(frozen=True, slots=True)
class Administrator:
    """Who revokes: a subject, with the key and the request where there are any."""

    author: str
    key_id: int | None = None
    request_id: str = ""


async def revoke_key(session: AsyncSession, key_id: int, by: Administrator, now: datetime) -> ApiKey | None:
    """Revoke anybody's key, commit and return it; None if there is none. Revoking again stores nothing."""
    if not 0 < key_id <= MAX_ID:  # more than 64 bits are an error for a driver
        return None

    async def revoke() -> ApiKey | None:
        await session.connection(execution_options=LOCK_FIRST)  # what is read here decides what is written
        ended = await _end(session, [key_id], now)
        _store(session, ended, by, now)
        key = await api_keys.revoke_any(session, key_id, now)
        await session.commit()
        return key

    return await with_last_space(session, revoke)


async def revoke_keys_of(session: AsyncSession, owner: str, by: Administrator, now: datetime) -> AsyncIterator[int]:
    """Revoke every key of an owner that is not revoked, expired ones too, and yield their ids once that is committed.

    Those that the owner issues meanwhile are not among them, so that it ends.
    """
    key, after, newest = col(ApiKey.id), 0, None

    async def revoke() -> tuple[Sequence[int], list[_Ended]]:
        await session.connection(execution_options=LOCK_FIRST)
        query = select(key).where(col(ApiKey.subject) == owner, col(ApiKey.revoked_at).is_(None))
        ids = (await session.scalars(query.where(key > after, key <= newest).order_by(key).limit(CHUNK))).all()
        ended = await _end(session, ids, now)
        _store(session, ended, by, now)
        await session.commit()
        return ids, ended

    newest = await session.scalar(select(func.max(key)).where(col(ApiKey.subject) == owner))
    await session.rollback()
    while newest is not None:
        ids, ended = await with_last_space(session, revoke)
        for each in ended:
            yield each.id
        if len(ids) < CHUNK:
            return
        after = ids[-1]


@dataclass(frozen=True, slots=True)
class _Ended:
    id: int
    prefix: str
    owner: str


async def _end(session: AsyncSession, ids: Iterable[int], now: datetime) -> list[_Ended]:
    """Revoke those of the keys that are not revoked yet."""
    change = update(ApiKey).where(col(ApiKey.id).in_(list(ids)), col(ApiKey.revoked_at).is_(None))
    returned = change.values(revoked_at=now).returning(col(ApiKey.id), col(ApiKey.key_prefix), col(ApiKey.subject))
    rows = await session.execute(returned, execution_options={"synchronize_session": False})
    return [_Ended(*row) for row in rows]


def _store(session: AsyncSession, ended: Iterable[_Ended], by: Administrator, now: datetime) -> None:
    session.add_all(
        AdminAction(
            at=now,
            action=ACTION,
            target=f"key:{key.id}",
            author=by.author,
            key_id=by.key_id,
            request_id=by.request_id,
            message=f"{key.prefix} of {key.owner}",
        )
        for key in ended
    )

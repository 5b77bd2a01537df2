"""Whether an owner may have a further key: counts its keys, for the limit on them, and refuses a blocked person."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.people import is_blocked
from app.db.session import lock_first
from app.db.tables.keys import ApiKey
from app.keys.refusals import OwnerBlocked
from app.keys.status import accepted

# An advisory lock with two numbers: ours, and the hash of the owner. Owners with the same hash wait for each other.
_LOCK_OWNER = text("SELECT pg_advisory_xact_lock(1097823091, hashtext(:owner))")


@dataclass(frozen=True, slots=True)
class KeyCount:
    """The accepted keys of an owner: `active` ones, and `superseded` ones, which have a successor."""

    active: int
    superseded: int


async def lock_owner(session: AsyncSession, owner: str) -> None:
    """Wait for issues and rotations of an owner that are under way, and hold others until the transaction ends."""
    await lock_first(session)
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(_LOCK_OWNER, {"owner": owner})


async def require_unblocked(session: AsyncSession, owner: str) -> None:
    """Raise OwnerBlocked for a person who is blocked, whose token may be valid for a while.

    Holds back other issues to this owner until the transaction ends: a block is stored before the keys of the owner are
    revoked, under the same lock, so that a key is either refused here or revoked there.
    """
    await lock_owner(session, owner)
    if await is_blocked(session, owner):
        raise OwnerBlocked


async def count_keys(session: AsyncSession, owner: str, now: datetime) -> KeyCount:
    """Count the keys of an owner; no other is issued to this owner until the transaction ends.

    On SQLite a transaction that was begun before must have begun with a write.
    """
    await lock_owner(session, owner)
    query = select(func.count(), func.count(col(ApiKey.successor_id))).select_from(ApiKey)
    total, superseded = (await session.execute(query.where(col(ApiKey.subject) == owner, accepted(now)))).one()
    return KeyCount(total - superseded, superseded)

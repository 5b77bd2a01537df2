"""How many keys an owner has that count against what one may have."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.engine import LOCK_FIRST
from app.db.tables.keys import ApiKey
from app.keys.status import accepted

# Of the locks with two numbers: this one, and the hash of an owner. Owners with the same hash only wait for each other.
_LOCK_OWNER = text("SELECT pg_advisory_xact_lock(1097823091, hashtext(:owner))")


@dataclass(frozen=True, slots=True)
class KeyCount:
    """The keys of an owner that are accepted: `active` ones, and `superseded` ones, which have a successor."""

    active: int
    superseded: int


async def count_keys(session: AsyncSession, owner: str, now: datetime) -> KeyCount:
    """Count the keys of an owner, who issues no other key until the transaction ends.

    A transaction that is under way on SQLite has begun with a write.
    """
    if not session.in_transaction():
        await session.connection(execution_options=LOCK_FIRST)
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(_LOCK_OWNER, {"owner": owner})
    query = select(func.count(), func.count(col(ApiKey.successor_id))).select_from(ApiKey)
    total, superseded = (await session.execute(query.where(col(ApiKey.subject) == owner, accepted(now)))).one()
    return KeyCount(total - superseded, superseded)

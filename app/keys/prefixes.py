"""Finds keys by whether their prefix is one of the setting `AUTHZ_KEY_PREFIX`, in ranges of the index on prefixes."""

from __future__ import annotations

from datetime import datetime
from itertools import pairwise

from sqlalchemy import ColumnElement, and_, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey
from app.identity.token_format import current
from app.keys.status import accepted


async def other_prefix(session: AsyncSession, now: datetime) -> str | None:
    """The prefix, such as `grd`, of a key that would be accepted with it; None if all have one of the setting."""
    query = select(col(ApiKey.key_prefix)).where(has_other_prefix(session), accepted(now)).limit(1)
    found: str | None = await session.scalar(query)
    return None if found is None else found.partition("_")[0]


def has_accepted_prefix(session: AsyncSession) -> ColumnElement[bool]:
    """The keys with a prefix of the setting. They may be all keys, so SQLite uses no index for it."""
    return not_(has_other_prefix(session))


def has_other_prefix(session: AsyncSession) -> ColumnElement[bool]:
    """The keys before, between and after those that begin with a prefix of the setting."""
    column = col(ApiKey.key_prefix)
    # Compared by bytes like the index, whatever the collation of the database.
    at_least, below = ("~>=~", "~<~") if session.get_bind().dialect.name == "postgresql" else (">=", "<")
    starts = sorted(current().starts)
    between = [
        and_(column.bool_op(at_least)(_after(start)), column.bool_op(below)(following))
        for start, following in pairwise(starts)
    ]
    return or_(column.bool_op(below)(starts[0]), *between, column.bool_op(at_least)(_after(starts[-1])))


def _after(start: str) -> str:
    """What comes after all texts that begin with `start`, by bytes."""
    return f"{start[:-1]}{chr(ord(start[-1]) + 1)}"

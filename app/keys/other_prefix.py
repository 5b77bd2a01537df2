"""Finds keys whose prefix is not accepted any more, of which an operator should know."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ColumnElement, and_, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey
from app.identity.token_format import current
from app.keys.status import accepted


async def other_prefix(session: AsyncSession, now: datetime) -> str | None:
    """The prefix, such as `grd`, of a key that would be accepted with it; None if all have one of the setting."""
    query = select(col(ApiKey.key_prefix)).where(_outside(session.get_bind().dialect.name), accepted(now)).limit(1)
    found: str | None = await session.scalar(query)
    return None if found is None else found.partition("_")[0]


def _outside(dialect: str) -> ColumnElement[bool]:
    """The keys between those that begin with one of the prefixes, in ranges of the index on the public part."""
    column = col(ApiKey.key_prefix)
    # Compared by bytes like the index, whatever the collation of the database.
    at_least, below = ("~>=~", "~<~") if dialect == "postgresql" else (">=", "<")
    starts = sorted(current().starts)
    ends = [f"{start[:-1]}{chr(ord(start[-1]) + 1)}" for start in starts]
    between = [
        and_(column.bool_op(at_least)(end), column.bool_op(below)(start))
        for end, start in zip(ends, starts[1:], strict=False)
    ]
    return or_(column.bool_op(below)(starts[0]), *between, column.bool_op(at_least)(ends[-1]))

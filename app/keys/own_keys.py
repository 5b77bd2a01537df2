"""Lists the keys of one owner: filtered by status, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import SQLColumnExpression, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey
from app.keys.status import STATUSES, KeyStatus, has_status

Order = Literal["name", "used", "expires", "created"]

_ORDERS: Mapping[Order, SQLColumnExpression[Any]] = {
    "name": func.lower(col(ApiKey.name)),
    "used": col(ApiKey.last_used_at),
    "expires": col(ApiKey.expires_at),
    "created": col(ApiKey.created_at),
}


async def counts(session: AsyncSession, subject: str, now: datetime) -> Mapping[KeyStatus, int]:
    """The number of keys of an owner by status."""
    state = case(*((has_status(status, now), status) for status in STATUSES if status != "active"), else_="active")
    # Grouped by the label: to PostgreSQL the same expression with other parameters is another one.
    found = select(state.label("state"), func.count()).where(col(ApiKey.subject) == subject).group_by("state")
    return {state: number for state, number in await session.execute(found)}  # noqa: C416  # to mypy a row is not a pair


async def page_of(
    session: AsyncSession,
    subject: str,
    *,
    state: KeyStatus | None,
    order: Order,
    descending: bool,
    now: datetime,
    offset: int,
    limit: int,
) -> Sequence[ApiKey]:
    """A page of the keys of an owner, of one status or all; keys without the time come last."""
    column = _ORDERS[order]
    sorted_by = (column.desc() if descending else column.asc()).nulls_last()
    query = select(ApiKey).where(col(ApiKey.subject) == subject).order_by(sorted_by, col(ApiKey.id).desc())
    if state is not None:
        query = query.where(has_status(state, now))
    return (await session.scalars(query.offset(offset).limit(limit))).all()

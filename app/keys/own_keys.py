"""A person's own keys as they look through them: by state, in an order, page by page."""

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
    """How many keys a user has of each status."""
    state = case(*((has_status(status, now), status) for status in STATUSES if status != "active"), else_="active")
    # By its name: PostgreSQL takes the same expression with other parameters for another one.
    found = select(state.label("state"), func.count()).where(col(ApiKey.subject) == subject).group_by("state")
    return {state: number for state, number in await session.execute(found)}  # noqa: C416  # rows are no pairs to mypy


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
    """A page of a user's keys, those in one state or all; a time that there is not comes last."""
    column = _ORDERS[order]
    sorted_by = (column.desc() if descending else column.asc()).nulls_last()
    query = select(ApiKey).where(col(ApiKey.subject) == subject).order_by(sorted_by, col(ApiKey.id).desc())
    if state is not None:
        query = query.where(has_status(state, now))
    return (await session.scalars(query.offset(offset).limit(limit))).all()

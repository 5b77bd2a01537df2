"""A person's own keys as they look through them: by state, in an order, page by page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, SQLColumnExpression, and_, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey

State = Literal["active", "expiring", "expired", "revoked"]
Order = Literal["name", "used", "expires", "created"]
SOON = timedelta(days=7)

_ORDERS: Mapping[Order, SQLColumnExpression[Any]] = {
    "name": func.lower(col(ApiKey.name)),
    "used": col(ApiKey.last_used_at),
    "expires": col(ApiKey.expires_at),
    "created": col(ApiKey.created_at),
}


def state_of(key: ApiKey, now: datetime) -> State:
    """What a key is at this moment; `expiring` is active, but for less than a week more."""
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None or key.expires_at > now + SOON:
        return "active"
    return "expiring" if key.expires_at > now else "expired"


async def counts(session: AsyncSession, subject: str, now: datetime) -> Mapping[State, int]:
    """How many keys somebody has in each state."""
    state = case(*((_is(state, now), state) for state in ("revoked", "expired", "expiring")), else_="active")
    # By its name: PostgreSQL takes the same expression with other parameters for another one.
    found = select(state.label("state"), func.count()).where(col(ApiKey.subject) == subject).group_by("state")
    return {state: number for state, number in await session.execute(found)}  # noqa: C416  # rows are no pairs to mypy


async def page_of(
    session: AsyncSession,
    subject: str,
    *,
    state: State | None,
    order: Order,
    descending: bool,
    now: datetime,
    offset: int,
    limit: int,
) -> Sequence[ApiKey]:
    """A page of somebody's keys, those in one state or all; a time that there is not comes last."""
    column = _ORDERS[order]
    sorted_by = (column.desc() if descending else column.asc()).nulls_last()
    query = select(ApiKey).where(col(ApiKey.subject) == subject).order_by(sorted_by, col(ApiKey.id).desc())
    if state is not None:
        query = query.where(_is(state, now))
    return (await session.scalars(query.offset(offset).limit(limit))).all()


def _is(state: State, now: datetime) -> ColumnElement[bool]:
    """The condition for which `state_of` gives this state."""
    expires, revoked = col(ApiKey.expires_at), col(ApiKey.revoked_at)
    if state == "revoked":
        return revoked.is_not(None)
    if state == "expired":
        return and_(revoked.is_(None), expires <= now)
    if state == "expiring":
        return and_(revoked.is_(None), expires > now, expires <= now + SOON)
    return and_(revoked.is_(None), or_(expires.is_(None), expires > now + SOON))

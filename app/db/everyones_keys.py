"""Everybody's API keys as those who look after them see them: filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, false, or_, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey

Status = Literal["active", "unused", "expired", "revoked"]
Sort = Literal["newest", "oldest", "used", "expires"]
STATUSES: tuple[Status, ...] = ("active", "unused", "expired", "revoked")
SORTS: tuple[Sort, ...] = ("newest", "oldest", "used", "expires")


@dataclass(frozen=True, slots=True)
class WantedKeys:
    """Keys whose subject is `subject`, whose prefix begins with `prefix`, and that have a status now.

    `unused` are active ones that nobody has ever used.
    """

    subject: str | None = None
    prefix: str | None = None
    status: Status | None = None
    sort: Sort = "newest"


@dataclass(frozen=True, slots=True)
class After:
    """A place in the list: behind the key with this id and, where they are sorted by time, with this time."""

    id: int
    time: datetime | None = None


async def page(
    session: AsyncSession, wanted: WantedKeys, *, now: datetime, after: After | None, limit: int
) -> Sequence[ApiKey]:
    """The first keys that fit, or those behind a place. Without a time, keys stand last."""
    query = select(ApiKey).where(*_matching(wanted, now)).limit(limit)
    return (await session.scalars(_sorted(query, wanted.sort, after))).all()


async def named(session: AsyncSession, key_id: int) -> ApiKey | None:
    """The key with this id, whoever's it is."""
    return (await session.scalars(select(ApiKey).where(col(ApiKey.id) == key_id))).one_or_none()


def place_of(key: ApiKey, sort: Sort) -> After:
    """The place of a key in a list that is sorted so."""
    times = {"used": key.last_used_at, "expires": key.expires_at}
    return After(key.id, times.get(sort))


def _matching(wanted: WantedKeys, now: datetime) -> list[ColumnElement[bool]]:
    terms: list[ColumnElement[bool]] = []
    if wanted.subject is not None:
        terms.append(col(ApiKey.subject) == wanted.subject)
    if wanted.prefix is not None:
        terms.append(col(ApiKey.key_prefix).startswith(wanted.prefix, autoescape=True))
    revoked, expires = col(ApiKey.revoked_at), col(ApiKey.expires_at)
    if wanted.status == "revoked":
        terms.append(revoked.is_not(None))
    elif wanted.status == "expired":
        terms += [revoked.is_(None), expires <= now]
    elif wanted.status is not None:
        terms += [revoked.is_(None), or_(expires.is_(None), expires > now)]
        if wanted.status == "unused":
            terms.append(col(ApiKey.last_used_at).is_(None))
    return terms


def _sorted(query: Select[Any], sort: Sort, after: After | None) -> Select[Any]:
    key = col(ApiKey.id)
    if sort == "oldest":
        return (query.where(key > after.id) if after else query).order_by(key)
    if sort == "newest":
        return (query.where(key < after.id) if after else query).order_by(key.desc())
    time = col(ApiKey.last_used_at) if sort == "used" else col(ApiKey.expires_at)
    # Keys without a time come last on every database.
    ordered = query.order_by(time.is_(None), time.desc() if sort == "used" else time, key.desc())
    return ordered.where(_behind(time, sort, after)) if after else ordered


def _behind(time: Any, sort: Sort, after: After) -> ColumnElement[bool]:
    same = and_(time == after.time if after.time else time.is_(None), col(ApiKey.id) < after.id)
    if after.time is None:
        return or_(false(), same)
    beyond = time < after.time if sort == "used" else time > after.time
    return or_(beyond, same, time.is_(None))

"""Lists the API keys of all owners for administrators: filtered, sorted, a page at a time."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, and_, func, null, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.keys import ApiKey
from app.identity.token_format import PUBLIC_PART
from app.keys.status import KeyStatus, accepted, has_status

Status = KeyStatus | Literal["unused"]
Sort = Literal["newest", "oldest", "used", "expires"]
STATUSES: tuple[Status, ...] = ("active", "unused", "expiring", "superseded", "expired", "revoked")
SORTS: tuple[Sort, ...] = ("newest", "oldest", "used", "expires")


@dataclass(frozen=True, slots=True)
class KeyFilter:
    """Selects keys by owner, by the beginning of their prefix, by their status now, and by who issued them.

    `active` are all accepted keys, however soon they expire; `unused` are those of them that were never used.
    `created_by` selects keys of organizations.
    """

    subject: str | None = None
    prefix: str | None = None
    status: Status | None = None
    sort: Sort = "newest"
    created_by: str | None = None


@dataclass(frozen=True, slots=True)
class KeyPosition:
    """A place in the list: after the key with this id and, if the list is sorted by a time, this time."""

    id: int
    time: datetime | None = None


async def page(
    session: AsyncSession, filters: KeyFilter, *, now: datetime, after: KeyPosition | None, limit: int
) -> Sequence[ApiKey]:
    """The first keys that match, or those after a place. Keys without a time come last, newest first."""
    key, query = col(ApiKey.id), select(ApiKey).where(*_matching(filters, now, session.get_bind().dialect.name))
    if filters.sort == "oldest":
        query = (query.where(key > after.id) if after else query).order_by(key)
        return (await session.scalars(query.limit(limit))).all()
    rows: list[ApiKey] = []
    if filters.sort != "newest":
        time = col(ApiKey.last_used_at) if filters.sort == "used" else col(ApiKey.expires_at)
        if after is None or after.time is not None:
            # Separate from keys without a time, so that an index has them in order.
            rows += await session.scalars(_timed(query, time, filters.sort, after).limit(limit))
            after = None
        # The keys of an owner or with a prefix are few: a planner without statistics should select by them first.
        few = filters.subject is not None or filters.prefix is not None
        query = query.where((func.coalesce(time, null()) if few else time).is_(None))
    if len(rows) < limit:
        query = (query.where(key < after.id) if after else query).order_by(key.desc())
        rows += await session.scalars(query.limit(limit - len(rows)))
    return rows


async def find(session: AsyncSession, key_id: int) -> ApiKey | None:
    """The key with this id, of any owner."""
    return (await session.scalars(select(ApiKey).where(col(ApiKey.id) == key_id))).one_or_none()


def place_of(key: ApiKey, sort: Sort) -> KeyPosition:
    """The place of a key in a list with this order."""
    times = {"used": key.last_used_at, "expires": key.expires_at}
    return KeyPosition(key.id, times.get(sort))


def _matching(filters: KeyFilter, now: datetime, dialect: str) -> list[ColumnElement[bool]]:
    terms: list[ColumnElement[bool]] = []
    if filters.subject is not None:
        terms.append(col(ApiKey.subject) == filters.subject)
    if filters.created_by is not None:
        terms.append(col(ApiKey.created_by) == filters.created_by)
    if filters.prefix is not None:
        terms.append(_begins_with(filters.prefix, dialect))
    if filters.status == "active":
        terms.append(accepted(now))
    elif filters.status == "unused":
        terms += [accepted(now), col(ApiKey.last_used_at).is_(None)]
    elif filters.status is not None:
        terms.append(has_status(filters.status, now))
    return terms


def _begins_with(prefix: str, dialect: str) -> ColumnElement[bool]:
    column = col(ApiKey.key_prefix)
    match = PUBLIC_PART.fullmatch(prefix)
    if match is None:
        return column.startswith(prefix, autoescape=True)
    if not match[2]:  # half of all keys, so the index on the prefix does not help
        return and_(col(ApiKey.environment) == match[1], func.substr(column, 1, len(prefix)) == prefix)
    after_prefix = f"{prefix[:-1]}{chr(ord(prefix[-1]) + 1)}"
    # Compared by bytes like the index, whatever the collation of the database.
    at_least, below = ("~>=~", "~<~") if dialect == "postgresql" else (">=", "<")
    return and_(column.bool_op(at_least)(prefix), column.bool_op(below)(after_prefix))


def _timed(query: Select[Any], time: Any, sort: Sort, after: KeyPosition | None) -> Select[Any]:
    key = col(ApiKey.id)
    if sort == "used":
        query = query.where(time.is_not(None)).order_by(time.desc(), key.desc())
        return query.where(tuple_(time, key) < (after.time, after.id)) if after else query
    query = query.where(time.is_not(None)).order_by(time, key)
    return query.where(tuple_(time, key) > (after.time, after.id)) if after else query

"""Looks up API keys and their owners for queries about them, a page at a time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import datetime
from typing import TypeVar

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.availability import RETRY_AFTER_SECONDS, error_name
from app.db.session import Sessions, read
from app.db.tables.fields import MAX_ID
from app.db.tables.keys import ApiKey
from app.identity.api_keys import KeyRecord
from app.identity.errors import CannotVerify
from app.keys.api_keys import RECORD, record_of
from app.keys.prefixes import has_accepted_prefix
from app.keys.status import accepted

UNAVAILABLE = "API keys cannot be looked up now."
_log = structlog.stdlib.get_logger("api_keys")
_T = TypeVar("_T")


async def records(sessions: Sessions, ids: Collection[int]) -> Sequence[KeyRecord]:
    """The keys with these ids, also revoked and expired ones. Raises CannotVerify."""
    # A driver raises for a number beyond 64 bits, and no key has it as its id.
    known = sorted(number for number in ids if 0 < number <= MAX_ID)
    if not known:
        return ()

    async def find(session: AsyncSession) -> Sequence[KeyRecord]:
        rows = await session.execute(RECORD.where(col(ApiKey.id).in_(known)))
        return [record_of(row) for row in rows.all()]

    return await _read(sessions, find)


async def active(
    sessions: Sessions,
    *,
    environments: Collection[str],
    now: datetime,
    after: int,
    limit: int,
    owner: str | None = None,
) -> Sequence[KeyRecord]:
    """The first keys above an id that would be accepted now, of all or of an owner, by ascending id.

    Raises CannotVerify.
    """
    query = (
        RECORD.where(
            col(ApiKey.id) > after,
            col(ApiKey.environment).in_(sorted(environments)),
            accepted(now),
        )
        .order_by(col(ApiKey.id))
        .limit(limit)
    )
    if owner is not None:
        query = query.where(col(ApiKey.subject) == owner)

    async def find(session: AsyncSession) -> Sequence[KeyRecord]:
        rows = await session.execute(query.where(has_accepted_prefix(session)))
        return [record_of(row) for row in rows.all()]

    return await _read(sessions, find)


async def owners(sessions: Sessions, *, after: str, limit: int) -> Sequence[str]:
    """The first distinct users with keys after a subject, in the order of the database. Raises CannotVerify.

    An organization with keys is none.
    """
    subject = col(ApiKey.subject)
    of_users = col(ApiKey.organization).is_(None)
    query = select(subject).where(subject > after, of_users).distinct().order_by(subject).limit(limit)

    async def find(session: AsyncSession) -> Sequence[str]:
        return (await session.scalars(query)).all()

    return await _read(sessions, find)


async def _read(sessions: Sessions, find: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
    try:
        return await read(sessions, find)
    except (SQLAlchemyError, OSError) as error:
        _log.error("the database did not answer a query about API keys", error=error_name(error))
        raise CannotVerify(UNAVAILABLE, RETRY_AFTER_SECONDS) from None

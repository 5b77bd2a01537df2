"""Polls the database for changes of stored credentials, with one query for all that a process caches.

Triggers record every change in the transaction that makes it. These rows are committed in the order of their ids, so
that none appears below an id that was read already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import structlog
from sqlalchemy import SQLColumnExpression, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import SQLModel, col

from app.audit.periodic_task import pause
from app.db.availability import error_name
from app.db.database_clock import database_now
from app.db.session import Sessions
from app.db.tables.keys import KeyChange
from app.db.tables.oauth import AppChange
from app.identity.credential_cache import CredentialCache, Tag

KEPT_SECONDS = 86_400
_PRUNE_EVERY_SECONDS = 3_600.0
_BATCH_SIZE = 1_000  # with more changes than this between two polls, the cache is cleared


@dataclass(frozen=True, slots=True)
class ChangeFeed:
    """A table of changes: its id, the tag of what changed, and when, in seconds since 1970.

    `noun` names the credentials in the log, `logger` is its name.
    """

    table: type[SQLModel]
    id: SQLColumnExpression[int]
    tag: SQLColumnExpression[Any]
    at: SQLColumnExpression[int]
    noun: str
    logger: str


KEY_FEED = ChangeFeed(KeyChange, col(KeyChange.id), col(KeyChange.key_id), col(KeyChange.at), "API keys", "api_keys")
APP_FEED = ChangeFeed(
    AppChange, col(AppChange.id), col(AppChange.tag), col(AppChange.at), "the access of apps", "oauth"
)


class _ChangeRow(NamedTuple):
    id: int
    tag: Tag
    at: int


_NONE = _ChangeRow(0, 0, 0)


async def follow_changes(
    sessions: Sessions,
    feed: ChangeFeed,
    cache: CredentialCache[Any, Any],
    stop: asyncio.Event,
    *,
    every_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Pass changes to the cache every `every_seconds`, until `stop`. `clock` is the cache's.

    While the database does not answer, each credential is looked up again when its cache entry expires.
    """
    report = structlog.stdlib.get_logger(feed.logger)
    last: _ChangeRow | None = None
    pruned_at = clock()
    is_out = False
    while not stop.is_set():
        await pause(stop, every_seconds)
        if not len(cache):
            continue
        polled_at = clock()
        try:
            last = await _pass_on(sessions, feed, cache, last, polled_at)
            if polled_at - pruned_at >= _PRUNE_EVERY_SECONDS:
                pruned_at = polled_at
                await prune_changes(sessions, feed, await _database_seconds(sessions) - KEPT_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            if not is_out:
                report.error(
                    f"changes of {feed.noun} cannot be read; each is looked up again when its cache entry expires",
                    error=error_name(error),
                )
            is_out = True
        else:
            if is_out:
                report.info(f"changes of {feed.noun} are read again")
            is_out = False


async def prune_changes(sessions: Sessions, feed: ChangeFeed, before: int) -> None:
    """Delete rows from before a time, in seconds since 1970, except the newest, which marks the place of others."""
    async with sessions() as session:
        newest = select(func.max(feed.id)).scalar_subquery()
        await session.execute(delete(feed.table).where(feed.at < before, feed.id < newest))
        await session.commit()


async def _pass_on(
    sessions: Sessions, feed: ChangeFeed, cache: CredentialCache[Any, Any], last: _ChangeRow | None, polled_at: float
) -> _ChangeRow:
    """Pass on the changes after `last`, and return the newest.

    The row `last` must still be there, unchanged: after a restore of the database its id is used again.
    """
    changes = select(feed.id, feed.tag, feed.at)
    async with sessions() as session:
        if last is not None:
            since = changes.where(feed.id >= last.id).order_by(feed.id).limit(_BATCH_SIZE + 1)
            found = [_ChangeRow(*row) for row in await session.execute(since)]
            is_gapless = last == _NONE or found[:1] == [last]
            if is_gapless and len(found) <= _BATCH_SIZE:
                cache.apply_changes([change.tag for change in found if change.id > last.id], polled_at)
                return found[-1] if found else last
        newest = (await session.execute(changes.order_by(feed.id.desc()).limit(1))).one_or_none()
    cache.invalidate_all()
    cache.apply_changes([], polled_at)
    return _ChangeRow(*newest) if newest else _NONE


async def _database_seconds(sessions: Sessions) -> int:
    async with sessions() as session:
        return int((await database_now(session)).timestamp())

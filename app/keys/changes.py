"""Polls the database for changed API keys, with one query for all keys that a process caches.

A trigger records every change of a key in the transaction that makes it. These rows are committed in the order of
their ids, so that none appears below an id that was read already.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import NamedTuple

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from app.audit.periodic_task import pause
from app.db.availability import error_name
from app.db.database_clock import database_now
from app.db.session import Sessions
from app.db.tables.keys import KeyChange
from app.identity.key_verifier import ApiKeyVerifier

KEPT_SECONDS = 86_400
_PRUNE_EVERY_SECONDS = 3_600.0
_BATCH_SIZE = 1_000  # with more changes than this between two polls, the cache is cleared
_log = structlog.stdlib.get_logger("api_keys")


class _KeyChangeRow(NamedTuple):
    id: int
    key_id: int
    at: int


_NONE = _KeyChangeRow(0, 0, 0)


async def follow(
    sessions: Sessions,
    verifier: ApiKeyVerifier,
    stop: asyncio.Event,
    *,
    every_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Pass changes to the verifier every `every_seconds`, until `stop`. `clock` is the verifier's.

    While the database does not answer, the verifier looks up each key again when its cache entry expires.
    """
    last: _KeyChangeRow | None = None
    pruned_at = clock()
    is_out = False
    while not stop.is_set():
        await pause(stop, every_seconds)
        if not verifier.cached_keys:
            continue
        polled_at = clock()
        try:
            last = await _pass_on(sessions, verifier, last, polled_at)
            if polled_at - pruned_at >= _PRUNE_EVERY_SECONDS:
                pruned_at = polled_at
                await prune(sessions, await _database_seconds(sessions) - KEPT_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            if not is_out:
                _log.error(
                    "changes of API keys cannot be read; each key is looked up again when its cache entry expires",
                    error=error_name(error),
                )
            is_out = True
        else:
            if is_out:
                _log.info("changes of API keys are read again")
            is_out = False


async def _pass_on(
    sessions: Sessions, verifier: ApiKeyVerifier, last: _KeyChangeRow | None, polled_at: float
) -> _KeyChangeRow:
    """Pass on the changes after `last`, and return the newest.

    The row `last` must still be there, unchanged: after a restore of the database its id is used again.
    """
    changes = select(col(KeyChange.id), col(KeyChange.key_id), col(KeyChange.at))
    async with sessions() as session:
        if last is not None:
            since = changes.where(col(KeyChange.id) >= last.id).order_by(col(KeyChange.id)).limit(_BATCH_SIZE + 1)
            found = [_KeyChangeRow(*row) for row in await session.execute(since)]
            is_gapless = last == _NONE or found[:1] == [last]
            if is_gapless and len(found) <= _BATCH_SIZE:
                verifier.apply_changes([change.key_id for change in found if change.id > last.id], polled_at)
                return found[-1] if found else last
        newest = (await session.execute(changes.order_by(col(KeyChange.id).desc()).limit(1))).one_or_none()
    verifier.invalidate_all()
    verifier.apply_changes([], polled_at)
    return _KeyChangeRow(*newest) if newest else _NONE


async def _database_seconds(sessions: Sessions) -> int:
    async with sessions() as session:
        return int((await database_now(session)).timestamp())


async def prune(sessions: Sessions, before: int) -> None:
    """Delete rows from before a time, in seconds since 1970, except the newest, which marks the place of others."""
    async with sessions() as session:
        newest = select(func.max(col(KeyChange.id))).scalar_subquery()
        await session.execute(delete(KeyChange).where(col(KeyChange.at) < before, col(KeyChange.id) < newest))
        await session.commit()

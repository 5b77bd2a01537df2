"""News of API keys: which have changed, asked of the database once for all that a process remembers.

A trigger records every change of a key in the transaction that makes it. The notes are committed in
the order of their ids, so that nothing appears below what was read already.
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
from app.db.availability import named
from app.db.session import Sessions
from app.db.tables.keys import KeyChange
from app.identity.key_verifier import ApiKeyVerifier

KEPT_SECONDS = 86_400
_PRUNE_EVERY_SECONDS = 3_600.0
_AT_ONCE = 1_000  # more than so many changes between two questions, and every key is asked for again
_log = structlog.stdlib.get_logger("api_keys")


class _KeyChangeRow(NamedTuple):
    id: int
    key_id: int
    at: int


_NO_NOTE = _KeyChangeRow(0, 0, 0)


async def follow(
    sessions: Sessions,
    verifier: ApiKeyVerifier,
    stop: asyncio.Event,
    *,
    every_seconds: float,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Tell the verifier the news every so many seconds, until `stop`. `clock` is the verifier's.

    While the database does not answer there are none, and the verifier asks for each key as its time runs out.
    """
    last: _KeyChangeRow | None = None
    pruned_at = clock()
    silent = False
    while not stop.is_set():
        await pause(stop, every_seconds)
        if not verifier.remembers:
            continue
        asked_at = clock()
        try:
            last = await _tell(sessions, verifier, last, asked_at)
            if asked_at - pruned_at >= _PRUNE_EVERY_SECONDS:
                pruned_at = asked_at
                await prune(sessions, int(time.time()) - KEPT_SECONDS)
        except (SQLAlchemyError, OSError) as error:
            if not silent:
                _log.error("no news of API keys; each is asked for as its time runs out", error=named(error))
            silent = True
        else:
            if silent:
                _log.info("news of API keys again")
            silent = False


async def _tell(
    sessions: Sessions, verifier: ApiKeyVerifier, last: _KeyChangeRow | None, asked_at: float
) -> _KeyChangeRow:
    """Tell the changes after `last`, and return the newest.

    What was noted last must still be there, as it was: after a restore its id is given to another change.
    """
    notes = select(col(KeyChange.id), col(KeyChange.key_id), col(KeyChange.at))
    async with sessions() as session:
        if last is not None:
            since = notes.where(col(KeyChange.id) >= last.id).order_by(col(KeyChange.id)).limit(_AT_ONCE + 1)
            found = [_KeyChangeRow(*row) for row in await session.execute(since)]
            without_gap = last == _NO_NOTE or found[:1] == [last]
            if without_gap and len(found) <= _AT_ONCE:
                verifier.heard([note.key_id for note in found if note.id > last.id], asked_at)
                return found[-1] if found else last
        newest = (await session.execute(notes.order_by(col(KeyChange.id).desc()).limit(1))).one_or_none()
    verifier.forget_all()
    verifier.heard([], asked_at)
    return _KeyChangeRow(*newest) if newest else _NO_NOTE


async def prune(sessions: Sessions, before: int) -> None:
    """Delete the notes from before a time, in seconds since 1970, but the newest, by which others know their place."""
    async with sessions() as session:
        newest = select(func.max(col(KeyChange.id))).scalar_subquery()
        await session.execute(delete(KeyChange).where(col(KeyChange.at) < before, col(KeyChange.id) < newest))
        await session.commit()

"""Retention: what is older than it may be is deleted, a little at a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, date, datetime, timedelta

import structlog

from app.audit.log import CannotWrite

AT_ONCE = 1_000  # decisions, for a writer waits meanwhile
EVERY_SECONDS = 600.0
_BETWEEN_SECONDS = 0.05
_log = structlog.stdlib.get_logger("decisions")

# Deletes at most so many decisions from before a time (microseconds since 1970), and says how many.
DeleteDecisions = Callable[[int, int], Awaitable[int]]
# Deletes the grant sets that no decision since that day has had.
DeleteGrantSets = Callable[[date], Awaitable[int]]


async def keep_for(
    days: int,
    stop: asyncio.Event,
    decisions: DeleteDecisions,
    grant_sets: DeleteGrantSets,
    *,
    every_seconds: float = EVERY_SECONDS,
) -> None:
    """Delete what is older than `days`, now and then, until `stop`. What fails is logged and tried again."""
    while not stop.is_set():
        try:
            deleted = await _delete(datetime.now(UTC) - timedelta(days=days), stop, decisions, grant_sets)
        except CannotWrite as error:
            _log.error("old decisions are not deleted yet", error=str(error))
        else:
            if deleted:
                _log.info("old decisions deleted", decisions=deleted, older_than_days=days)
        await _pause(stop, every_seconds)


async def _delete(
    oldest: datetime, stop: asyncio.Event, decisions: DeleteDecisions, grant_sets: DeleteGrantSets
) -> int:
    at = int(oldest.timestamp() * 1_000_000)
    deleted = 0
    while not stop.is_set():
        some = await decisions(at, AT_ONCE)
        deleted += some
        if some < AT_ONCE:
            # A set is marked once a day at least, so one from before the day before serves no decision that is left.
            await grant_sets(oldest.date() - timedelta(days=1))
            break
        await _pause(stop, _BETWEEN_SECONDS)
    return deleted


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)

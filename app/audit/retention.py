"""Retention: deletes decisions that are older than allowed, in small transactions."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import structlog

from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause

BATCH_SIZE = 1_000  # decisions in a transaction, for which writers wait
EVERY_SECONDS = 600.0
_PAUSE_SECONDS = 0.05
_log = structlog.stdlib.get_logger("decisions")


class DecisionStore(Protocol):
    """The storage of decisions. Each method raises BatchNotStored."""

    async def make_ready(self, now: datetime) -> None:
        """Create the partitions of the next days, if the storage has partitions."""

    async def drop_days_before(self, at: int) -> int:
        """Drop the partitions of days that ended before a time, in microseconds since 1970; return how many."""

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most `limit` decisions from before a time, oldest first; return how many.

        If the storage has partitions, the day of that time is left, since its partition will be dropped.
        """

    async def delete_keys_before(self, day: date) -> int:
        """Delete keys and grant sets that no decision has used since a day; return how many."""

    async def delete_drops_before(self, at: int) -> None:
        """Delete what is stored about losses of decisions before a time, in microseconds since 1970."""


async def run_retention(
    days: int, stop: asyncio.Event, store: DecisionStore, *, every_seconds: float = EVERY_SECONDS
) -> None:
    """Create partitions ahead, and delete decisions older than `days`, at intervals until `stop`; 0 days delete none.

    Failures are logged and retried.
    """
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            await store.make_ready(now)
        except BatchNotStored as error:
            _log.error("partitions of the decision log are not created yet", error=str(error))
        try:
            if days:
                await _delete(now - timedelta(days=days), days, stop, store)
        except BatchNotStored as error:
            _log.error("old decisions are not deleted yet", error=str(error))
        await pause(stop, every_seconds)


async def _delete(oldest: datetime, days: int, stop: asyncio.Event, store: DecisionStore) -> None:
    at = int(oldest.timestamp() * 1_000_000)
    dropped = await store.drop_days_before(at)
    deleted = 0
    while not stop.is_set():
        count = await store.delete_before(at, BATCH_SIZE)
        deleted += count
        if count < BATCH_SIZE:
            # The day of a key is updated at least daily, so that one of two days ago has no decision that is left.
            await store.delete_keys_before(oldest.date() - timedelta(days=1))
            await store.delete_drops_before(at)
            break
        await pause(stop, _PAUSE_SECONDS)
    if dropped or deleted:
        _log.info("old decisions deleted", days=dropped, decisions=deleted, older_than_days=days)

"""Retention: deletes decisions that are older than allowed, in small transactions.

The database says how late it is, since a process whose clock is ahead would delete what others may still keep. Even if
that clock is wrong, a round deletes no more than the decisions of a day, so that there is time to notice.
"""

from __future__ import annotations

import asyncio
from datetime import date, timedelta
from typing import Protocol

import structlog

from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause

BATCH_SIZE = 1_000  # decisions in a transaction, for which writers wait
EVERY_SECONDS = 600.0
_PAUSE_SECONDS = 0.05
_DAY = 86_400 * 1_000_000  # microseconds
_log = structlog.stdlib.get_logger("decisions")


class DecisionStore(Protocol):
    """The storage of decisions. Times are in microseconds since 1970. Each method raises BatchNotStored."""

    async def now(self) -> int | None:
        """The time by the clock of the database; None if it cannot say, and then nothing is old."""

    async def oldest(self) -> int | None:
        """The time of the oldest decision; None if there is none."""

    async def make_ready(self) -> None:
        """Create the partitions of the next days, if the storage has partitions."""

    async def drop_day_before(self, at: int) -> bool:
        """Drop the oldest partition if its day ended before a time; return whether one was dropped."""

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most `limit` decisions from before a time, oldest first; return how many.

        If the storage has partitions, the day of that time is left, since its partition will be dropped.
        """

    async def delete_keys_before(self, day: date) -> int:
        """Delete keys and grant sets that no decision has used since a day; return how many."""

    async def delete_drops_before(self, at: int) -> None:
        """Delete what is stored about losses and deletions of decisions before a time."""

    async def release_space(self) -> bool:
        """Give a little of the space that is not needed to the disk; return whether more can be given."""


async def run_retention(
    days: int, stop: asyncio.Event, store: DecisionStore, *, every_seconds: float = EVERY_SECONDS
) -> None:
    """Create partitions ahead, and delete decisions older than `days`, at intervals until `stop`; 0 days delete none.

    Failures are logged and retried.
    """
    while not stop.is_set():
        try:
            await store.make_ready()
        except BatchNotStored as error:
            _log.error("partitions of the decision log are not created yet", error=str(error))
        try:
            if days:
                await _delete(days, stop, store)
            while not stop.is_set() and await store.release_space():
                await pause(stop, _PAUSE_SECONDS)
        except BatchNotStored as error:
            _log.error("old decisions are not deleted yet", error=str(error))
        await pause(stop, every_seconds)


async def _delete(days: int, stop: asyncio.Event, store: DecisionStore) -> None:
    """Delete the decisions of the first day, as far as they are older than `days`."""
    now, oldest = await store.now(), await store.oldest()
    if now is None:
        return
    at = now - days * _DAY
    # At most until the end of the oldest day, whose partition is dropped as a whole.
    day_end = at if oldest is None else min(at, (oldest // _DAY + 1) * _DAY)
    dropped = await store.drop_day_before(day_end)
    deleted = 0
    # What a partition has in the next round need not be deleted by row in this one.
    while not (dropped or stop.is_set()):
        count = await store.delete_before(day_end, BATCH_SIZE)
        deleted += count
        if count < BATCH_SIZE:
            # The day of a key is updated at least daily, so that one of two days ago has no decision that is left.
            day = date(1970, 1, 1) + timedelta(days=max(day_end // _DAY, 1) - 1)
            await store.delete_keys_before(day)
            await store.delete_drops_before(day_end)
            break
        await pause(stop, _PAUSE_SECONDS)
    if dropped or deleted:
        _log.info("old decisions deleted", days=int(dropped), decisions=deleted, older_than_days=days)

"""Retention: what is older than it may be is deleted, a little at a time."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

import structlog

from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause

AT_ONCE = 1_000  # decisions, for a writer waits meanwhile
EVERY_SECONDS = 600.0
_BETWEEN_SECONDS = 0.05
_log = structlog.stdlib.get_logger("decisions")


class Store(Protocol):
    """Where decisions are kept. Each of these raises BatchNotStored."""

    async def make_ready(self, now: datetime) -> None:
        """Make room for the decisions of the next days, where that is needed."""

    async def drop_days_before(self, at: int) -> int:
        """Drop the days that were over before a time (microseconds since 1970), where they are kept by the day.

        Says how many days there were.
        """

    async def delete_before(self, at: int, limit: int) -> int:
        """Delete at most so many decisions from before a time, oldest first, and say how many.

        Where they are kept by the day, those of the day of that time wait until it is over.
        """

    async def delete_grant_sets_before(self, day: date) -> int:
        """Delete the grant sets that no decision since that day has had, and say how many."""


async def keep_for(days: int, stop: asyncio.Event, store: Store, *, every_seconds: float = EVERY_SECONDS) -> None:
    """Make room ahead and delete what is older than `days`, now and then, until `stop`; with 0 days, nothing.

    What fails is logged and tried again.
    """
    while not stop.is_set():
        now = datetime.now(UTC)
        try:
            await store.make_ready(now)
        except BatchNotStored as error:
            _log.error("no room made for the decisions to come yet", error=str(error))
        try:
            if days:
                await _delete(now - timedelta(days=days), days, stop, store)
        except BatchNotStored as error:
            _log.error("old decisions are not deleted yet", error=str(error))
        await pause(stop, every_seconds)


async def _delete(oldest: datetime, days: int, stop: asyncio.Event, store: Store) -> None:
    at = int(oldest.timestamp() * 1_000_000)
    dropped = await store.drop_days_before(at)
    deleted = 0
    while not stop.is_set():
        some = await store.delete_before(at, AT_ONCE)
        deleted += some
        if some < AT_ONCE:
            # A set is marked once a day at least, so one from before the day before serves no decision that is left.
            await store.delete_grant_sets_before(oldest.date() - timedelta(days=1))
            break
        await pause(stop, _BETWEEN_SECONDS)
    if dropped or deleted:
        _log.info("old decisions deleted", days=dropped, decisions=deleted, older_than_days=days)

"""The background task that delivers the logs to all destinations, and what is known of its progress."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.audit.periodic_task import pause
from app.db.availability import error_name
from app.db.disk import DiskSpace
from app.db.session import Sessions
from app.db.siem_cursors import Cursor, SiemCursors
from app.siem.delivery import Delivery
from app.siem.destination import Destination
from app.siem.log_readers import AdminReader, DecisionReader, DropReader, LogReader
from app.siem.sender import Sender

POLL_SECONDS = 1.0
_STOP_SECONDS = 2.0  # for a request that is under way; what it sent is sent again otherwise
_ERROR_SECONDS = 5.0
_SECOND = 1_000_000  # microseconds
_log = structlog.stdlib.get_logger("siem")


@dataclass(frozen=True, slots=True)
class DeliveryStatus:
    """How far a log was delivered to a destination, by all processes.

    `pending` is the number of ids after the position, at least that of the records to deliver. `lag_seconds` is the age
    of the oldest of these; None if there is none.
    """

    cursor: Cursor
    pending: int
    lag_seconds: float | None


class SiemExport:
    """Delivers each log to each destination, one process at a time."""

    def __init__(
        self,
        destinations: Sequence[Destination],
        sessions: Sessions,
        disk: DiskSpace,
        give_way: Callable[[], Awaitable[None]],
        *,
        poll_seconds: float = POLL_SECONDS,
    ) -> None:
        self._cursors = SiemCursors(sessions)
        self._disk = disk
        self._poll_seconds = poll_seconds
        self._senders = {destination.name: Sender(destination) for destination in destinations}
        self.deliveries = [
            Delivery(destination, log, self._cursors, self._senders[destination.name], give_way)
            for destination in destinations
            for log in log_readers(sessions)
        ]
        self.statuses: dict[tuple[str, str], DeliveryStatus] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`. Failures are logged and retried."""
        if not self.deliveries:
            return
        tasks = [asyncio.create_task(self._follow(delivery, stop)) for delivery in self.deliveries]
        await stop.wait()
        _, unfinished = await asyncio.wait(tasks, timeout=_STOP_SECONDS)
        for task in unfinished:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for sender in self._senders.values():
            await sender.close()

    async def _follow(self, delivery: Delivery, stop: asyncio.Event) -> None:
        logged = ""
        while True:
            await pause(stop, self._poll_seconds * random.uniform(0.75, 1.25))  # noqa: S311  # spread over processes
            if stop.is_set():
                return
            error = ""
            try:
                await self._poll(delivery, stop)
            except (SQLAlchemyError, OSError) as failure:
                error = error_name(failure)
                if error != logged:
                    _log.error("the database does not say what to deliver; trying again", error=error)
            except Exception as failure:  # noqa: BLE001  # no error may end the export
                error = type(failure).__name__
                if error != logged:
                    _log.error("records are not delivered; trying again", error=error, exc_info=failure)
            logged = error
            if error:
                await pause(stop, _ERROR_SECONDS)

    async def _poll(self, delivery: Delivery, stop: asyncio.Event) -> None:
        status, now = await self._read_status(delivery)
        has_work = status.pending or status.cursor.gap is not None
        if not has_work or self._disk.shortage or not self._cursors.may_claim(status.cursor, now):
            return
        try:
            await delivery.deliver(stop)
        except asyncio.CancelledError:
            await self._cursors.release(delivery.destination.name, delivery.log.name)
            raise
        await self._read_status(delivery)

    async def _read_status(self, delivery: Delivery) -> tuple[DeliveryStatus, int]:
        name = delivery.destination.name, delivery.log.name
        cursor, now = await self._cursors.read(*name)
        status = self.statuses[name] = await delivery_status(delivery.log, cursor, now)
        return status, now


def log_readers(sessions: Sessions) -> Sequence[LogReader]:
    """The logs that are delivered."""
    return (DecisionReader(sessions), AdminReader(sessions), DropReader(sessions))


async def delivery_status(log: LogReader, cursor: Cursor, now: int) -> DeliveryStatus:
    """How far a log was delivered, by its cursor and the time. Raises the errors of SQLAlchemy."""
    newest = await log.newest(cursor.position)
    oldest = await log.read(cursor.position, newest, 1) if newest > cursor.position else ()
    lag = max((now - oldest[0].event.at) / _SECOND, 0.0) if oldest else None
    return DeliveryStatus(cursor, newest - cursor.position, lag)

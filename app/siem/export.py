"""The background task that delivers the logs to all destinations, and what is known of its progress."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
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
from app.siem.log_readers import AdminReader, DecisionReader, DeletionReader, DropReader, LogReader, SealReader
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
        logs = log_readers(sessions)
        self.deliveries = [
            Delivery(destination, log, self._cursors, self._senders[destination.name], give_way)
            for destination in destinations
            for log in logs
        ]
        self.statuses: dict[tuple[str, str], DeliveryStatus] = {}

    async def run(self, stop: asyncio.Event) -> None:
        """Deliver until `stop`. Failures are logged and retried."""
        if not self.deliveries:
            return
        running: dict[Delivery, asyncio.Task[None]] = {}
        logged = ""
        while not stop.is_set():
            await pause(stop, self._poll_seconds * random.uniform(0.75, 1.25))  # noqa: S311  # spread over processes
            running = {delivery: task for delivery, task in running.items() if not task.done()}
            error = ""
            try:
                for delivery in await self._poll():
                    if delivery not in running and not stop.is_set():
                        running[delivery] = asyncio.create_task(self._deliver(delivery, stop))
            except (SQLAlchemyError, OSError) as failure:
                error = error_name(failure)
                if error != logged:
                    _log.error("the database does not say what to deliver; trying again", error=error)
            except Exception as defect:  # noqa: BLE001  # no error may end the export
                error = type(defect).__name__
                if error != logged:
                    _log.exception("what to deliver cannot be read; trying again")
            logged = error
        await self._close(running)

    async def _poll(self) -> Sequence[Delivery]:
        """Read how far each log was delivered, and return the deliveries that this process may do now."""
        found, now = await self._cursors.read_all()
        cursors = {delivery.name: found.get(delivery.name) or Cursor(*delivery.name) for delivery in self.deliveries}
        # Once for each log, since most polls find nothing new.
        logs = {delivery.log.name: delivery.log for delivery in self.deliveries}
        newest = {
            name: await log.newest(min(cursor.position for cursor in cursors.values() if cursor.log == name))
            for name, log in logs.items()
        }
        due = []
        for delivery in self.deliveries:
            cursor = cursors[delivery.name]
            status = await delivery_status(delivery.log, cursor, newest[delivery.log.name], now)
            self.statuses[delivery.name] = status
            has_work = status.pending or cursor.gap is not None
            if has_work and not self._disk.shortage and self._cursors.may_claim(cursor, now):
                due.append(delivery)
        return due

    async def _deliver(self, delivery: Delivery, stop: asyncio.Event) -> None:
        try:
            await delivery.deliver(stop)
        except (SQLAlchemyError, OSError) as failure:
            _log.error("records are not delivered; trying again", **delivery.names, error=error_name(failure))
            await pause(stop, _ERROR_SECONDS)

    async def _close(self, running: Mapping[Delivery, asyncio.Task[None]]) -> None:
        """End deliveries, and let other processes go on with them at once."""
        if running:
            _, unfinished = await asyncio.wait(running.values(), timeout=_STOP_SECONDS)
            for task in unfinished:
                task.cancel()
            await asyncio.gather(*running.values(), return_exceptions=True)
        try:
            await self._cursors.release_all()
        except (SQLAlchemyError, OSError) as failure:
            _log.warning("another process goes on only when the lease has ended", error=error_name(failure))
        for sender in self._senders.values():
            await sender.close()


def log_readers(sessions: Sessions) -> Sequence[LogReader]:
    """The logs that are delivered."""
    readers = (DecisionReader, AdminReader, DropReader, DeletionReader, SealReader)
    return [reader(sessions) for reader in readers]


async def delivery_status(log: LogReader, cursor: Cursor, newest: int, now: int) -> DeliveryStatus:
    """How far a log was delivered, by its cursor, its newest id and the time. Raises the errors of SQLAlchemy."""
    newest = max(newest, cursor.position)
    at = await _oldest_at(log, cursor.position, newest) if newest > cursor.position else None
    return DeliveryStatus(cursor, newest - cursor.position, None if at is None else max((now - at) / _SECOND, 0.0))


async def _oldest_at(log: LogReader, after: int, until: int) -> int | None:
    """The time of the oldest record; None if it cannot be sent, which its delivery reports."""
    try:
        entries = await log.read(after, until, 1)
        return entries[0].event().at if entries else None
    except (SQLAlchemyError, OSError):
        raise
    except Exception:  # noqa: BLE001  # as above
        return None

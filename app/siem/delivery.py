"""Delivers one log to one destination: at least once, in order, and resumed where a process ended.

The position is stored after the destination accepted a batch, so that a crash in between sends it again, with the same
ids of events. A batch that the destination refuses is halved until the record at fault is found; a notice takes its
place. Where even the notice is refused, the destination refuses everything, and nothing is given up.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, NoReturn

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.audit.periodic_task import pause
from app.db.siem_cursors import LEASE_SECONDS, MAX_RETRY_SECONDS, Cursor, Gap, LeaseLost, SiemCursors
from app.siem.destination import Destination
from app.siem.event import Event
from app.siem.log_events import gap_event, refusal_event
from app.siem.log_readers import ExportRecord, LogReader
from app.siem.pace import Pace
from app.siem.sender import Accepted, Answer, Failed, RefusedBatch, Sender

PAGE_SIZE = 250  # records, whose rows are read in a time in which no request is served: about a millisecond
MAX_BYTES = 1_000_000  # of a request, unless one record is larger
FIRST_RETRY_SECONDS, LAST_RETRY_SECONDS = 1.0, 300.0
_SLICE_SIZE = 25  # records that are encoded before requests are served
_log = structlog.stdlib.get_logger("siem")


class DeliveryFailed(Exception):
    """The destination cannot be reached, or accepts nothing. The message is for operators."""

    def __init__(self, error: str, retry_after: float | None = None) -> None:
        super().__init__(error)
        self.retry_after = retry_after


@dataclass(slots=True)
class DeliveryCounts:
    """What this process did since it started: records, and failed attempts."""

    delivered: int = 0
    refused: int = 0
    missed: int = 0
    failures: int = 0


class _Encoded(NamedTuple):
    id: int
    event: Event
    content: bytes


class Delivery:
    """The deliveries of a log to a destination by this process.

    `give_way` is awaited between slices of work, so that requests are served meanwhile.
    """

    def __init__(
        self,
        destination: Destination,
        log: LogReader,
        cursors: SiemCursors,
        sender: Sender,
        give_way: Callable[[], Awaitable[None]],
    ) -> None:
        self.destination = destination
        self.log = log
        self.counts = DeliveryCounts()
        self._cursors = cursors
        self._sender = sender
        self._give_way = give_way
        self._renewed_at = 0.0  # monotonic
        self._newest = 0  # the id up to which the log is settled
        self._pace = Pace()
        self._waited = 0.0  # for answers, in seconds

    @property
    def name(self) -> tuple[str, str]:
        """The names of the destination and the log, as in the table of cursors."""
        return self.destination.name, self.log.name

    @property
    def names(self) -> dict[str, str]:
        """The same for a line of the log."""
        return {"destination": self.destination.name, "log": self.log.name}

    async def deliver(self, stop: asyncio.Event) -> None:
        """Deliver what the log has, if no other process does. Raises the errors of SQLAlchemy.

        The lease is kept: it ends by itself, and a log that goes on needs fewer transactions.
        """
        cursor = await self._cursors.claim(*self.name)
        if cursor is None:
            return
        self._renewed_at = time.monotonic()
        self._newest = cursor.position
        had_failed = bool(cursor.failures)
        try:
            while not stop.is_set():
                before, began = cursor, time.monotonic()
                self._waited = 0.0
                cursor = await self._deliver_page(cursor)
                if cursor.position == before.position and cursor.gap is None:
                    break
                if had_failed:
                    had_failed = False
                    _log.info("records are delivered again", **self.names)
                if cursor.position < self._newest:
                    await self._rest(cursor, time.monotonic() - began - self._waited, stop)
        except LeaseLost:
            _log.warning("another process delivers now", **self.names)
        except DeliveryFailed as failure:
            await self._note_failure(failure)
        except (SQLAlchemyError, OSError):
            raise
        except Exception as defect:  # noqa: BLE001  # no error may end the export; this one shows in its status
            error = f"a record cannot be sent: {type(defect).__name__}"
            if error != cursor.error:
                _log.exception("a record cannot be sent", **self.names)
            await self._note_failure(DeliveryFailed(error))

    async def _rest(self, cursor: Cursor, worked: float, stop: asyncio.Event) -> None:
        """Pause after a page of a backlog, for which this process worked so long."""
        if self._pace.is_due(time.monotonic()):
            self._newest = await self.log.newest(cursor.position)
            self._pace.measure(cursor.position, self._newest, time.monotonic())
        await pause(stop, self._pace.pause_after(worked))

    async def _deliver_page(self, cursor: Cursor) -> Cursor:
        if (gap := cursor.gap) is not None:
            event = gap_event(self.log.name, gap)
            answer = await self._send(cursor, [self.destination.encode(event)])
            if not isinstance(answer, Accepted):
                _fail(answer)
            _log.error("records were deleted before they were delivered", **self.names, records=gap.records)
            cursor = await self._advance(cursor, cursor.position, gap=gap)
        if self._newest <= cursor.position:
            self._newest = await self.log.newest(cursor.position)
        newest = self._newest
        if newest == cursor.position:
            return cursor
        entries = await self.log.read(cursor.position, newest, PAGE_SIZE)
        if not entries:
            # Once more, since retention may have deleted a page of them while it was read.
            entries = await self.log.read(cursor.position, newest, PAGE_SIZE)
        if not entries:
            return await self._advance(cursor, newest)
        for batch in _batches(await self._encode(entries)):
            cursor = await self._deliver_batch(cursor, batch)
        return cursor

    async def _encode(self, entries: Sequence[ExportRecord]) -> Sequence[_Encoded]:
        """Encode records a few at a time, between which requests are served."""
        encoded = []
        for start in range(0, len(entries), _SLICE_SIZE):
            await self._give_way()
            for entry in entries[start : start + _SLICE_SIZE]:
                event = entry.event()
                encoded.append(_Encoded(entry.id, event, self.destination.encode(event)))
        return encoded

    async def _deliver_batch(self, cursor: Cursor, batch: Sequence[_Encoded]) -> Cursor:
        """Deliver records. Raises DeliveryFailed, and then the first ones may be delivered."""
        answer = await self._send(cursor, [encoded.content for encoded in batch])
        if isinstance(answer, Accepted):
            rejected = min(answer.rejected, len(batch))
            if rejected:
                ids = f"{batch[0].event.id} to {batch[-1].event.id}"
                _log.error("records were not accepted", **self.names, records=rejected, of=ids, why=answer.reason)
            return await self._advance(cursor, batch[-1].id, delivered=len(batch) - rejected, refused=rejected)
        if isinstance(answer, Failed):
            _fail(answer)
        if len(batch) == 1:
            return await self._replace(cursor, batch[0], answer.status)
        half = len(batch) // 2
        cursor = await self._deliver_batch(cursor, batch[:half])
        return await self._deliver_batch(cursor, batch[half:])

    async def _replace(self, cursor: Cursor, refused: _Encoded, status: int) -> Cursor:
        """Deliver a notice in place of a record that was refused."""
        notice = refusal_event(refused.event, self.log.name, status)
        answer = await self._send(cursor, [self.destination.encode(notice)])
        if not isinstance(answer, Accepted):
            _fail(answer)
        _log.error("a record was not accepted", **self.names, record=refused.event.id, status=status)
        return await self._advance(cursor, refused.id, refused=1)

    async def _send(self, cursor: Cursor, contents: Sequence[bytes]) -> Answer:
        """Send a request, and renew the lease meanwhile. Raises LeaseLost."""
        began = time.monotonic()
        sending = asyncio.create_task(self._sender.send(self.destination.join(contents)))
        try:
            while True:
                due = self._renewed_at + LEASE_SECONDS / 3
                done, _ = await asyncio.wait({sending}, timeout=max(due - time.monotonic(), 0.0))
                if done:
                    return sending.result()
                await self._cursors.renew(cursor)
                self._renewed_at = time.monotonic()
        finally:
            self._waited += time.monotonic() - began
            sending.cancel()

    async def _advance(
        self, cursor: Cursor, position: int, *, delivered: int = 0, refused: int = 0, gap: Gap | None = None
    ) -> Cursor:
        cursor = await self._cursors.advance(cursor, position, delivered=delivered, refused=refused, gap=gap)
        self._renewed_at = time.monotonic()
        self.counts.delivered += delivered
        self.counts.refused += refused
        self.counts.missed += gap.records if gap is not None else 0
        return cursor

    async def _note_failure(self, failure: DeliveryFailed) -> None:
        self.counts.failures += 1
        cursor, _ = await self._cursors.read(*self.name)
        error = str(failure)
        if error != cursor.error:
            _log.error("records are not delivered; trying again", **self.names, error=error)
        await self._cursors.fail(cursor, error, retry_seconds(cursor.failures, failure.retry_after))


def _batches(encoded: Iterable[_Encoded]) -> Iterator[Sequence[_Encoded]]:
    """Divide records into requests of bounded size."""
    batch: list[_Encoded] = []
    size = 0
    for each in encoded:
        if batch and size + len(each.content) > MAX_BYTES:
            yield batch
            batch, size = [], 0
        batch.append(each)
        size += len(each.content)
    if batch:
        yield batch


def retry_seconds(failures: int, retry_after: float | None) -> float:
    """How long to wait after a failure that follows others: twice as long each time, with jitter."""
    pause = min(FIRST_RETRY_SECONDS * 2.0 ** min(failures, 20), LAST_RETRY_SECONDS)
    pause *= random.uniform(0.5, 1.0)  # noqa: S311  # so that replicas do not try at the same time
    return min(max(pause, retry_after or 0.0), MAX_RETRY_SECONDS)


def _fail(answer: Failed | RefusedBatch) -> NoReturn:
    if isinstance(answer, RefusedBatch):
        raise DeliveryFailed(f"HTTP {answer.status}: it accepts no record at all")
    raise DeliveryFailed(answer.error, answer.retry_after)

"""Seals settled rows of the decision log and of the admin log, in the background.

Every process does so, and all but one find nothing left. Rows are sealed once there are enough of them for a segment,
or have waited for long enough. A server without traffic writes nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import SERVER
from app.audit.admin_log import Detail
from app.audit.chain.entry import LOGS, LogName
from app.audit.chain.segment import DAY, SegmentBuilder
from app.audit.chain.signatures import SigningKey
from app.audit.give_way import GiveWay, yield_to_loop
from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause
from app.audit.record import time_of
from app.db import chain_store
from app.db.admin_actions import record
from app.db.chain_rows import TABLES, ChainReader, is_within, settled
from app.db.chain_store import StoredEntry
from app.db.decision_writer import without_values
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.row_order import dialect_of
from app.db.session import Sessions

SEGMENT_ROWS = 5_000
SEAL_SECONDS = 60.0
_PAGE = 250  # rows that are read at once, in 0.3 milliseconds
_POLLS = 6  # in the time after which rows are sealed
_PAUSE_SECONDS = 0.5  # between two segments
_log = structlog.stdlib.get_logger("decisions")


class Sealer:
    """Adds segments to the chains of both logs, signed with `key` if there is one.

    `between_slices` is awaited after a few rows, so that requests are served meanwhile.
    """

    def __init__(
        self,
        sessions: Sessions,
        disk: DiskSpace | None = None,
        key: SigningKey | None = None,
        *,
        between_slices: GiveWay = yield_to_loop,
        seal_seconds: float = SEAL_SECONDS,
        segment_rows: int = SEGMENT_ROWS,
    ) -> None:
        self._sessions = sessions
        self._disk = disk
        self.key = key
        self._between_slices = between_slices
        self._seal_seconds = seal_seconds
        self._segment_rows = segment_rows
        # Since when this process knows of rows after an id.
        self._unsealed: dict[LogName, tuple[int, float]] = {}

    @property
    def unsealed_seconds(self) -> Mapping[LogName, float]:
        """For how long this process has known the oldest rows of each log that are not sealed."""
        now = time.monotonic()
        return {log: now - self._unsealed[log][1] if log in self._unsealed else 0.0 for log in LOGS}

    async def run(self, stop: asyncio.Event) -> None:
        """Seal rows until `stop`. Failures are logged and retried."""
        while not stop.is_set():
            for log in LOGS:
                try:
                    while not stop.is_set() and await self._seal_if_due(log) >= self._segment_rows:
                        await pause(stop, _PAUSE_SECONDS)
                except BatchNotStored as error:
                    _log.error("rows of a log are not sealed yet", log=log, error=str(error))
                except Exception:  # noqa: BLE001  # a defect, or values in the chain that no program wrote
                    _log.exception("rows of a log cannot be sealed", log=log)
            # Not in step with other processes, which would do the same work in vain.
            await pause(stop, self._seal_seconds / _POLLS * random.uniform(0.7, 1.3))  # noqa: S311  # no secret

    async def seal(self, log: LogName) -> int:
        """Seal the rows that are settled, at most a segment of them; return how many. Raises BatchNotStored."""
        with without_values():
            return await self._seal(log, *await self._unsealed_ids(log))

    async def _seal_if_due(self, log: LogName) -> int:
        """Seal a segment that is complete, or rows that have waited for long enough; return how many."""
        if self._disk is not None and self._disk.shortage:
            return 0
        with without_values():
            after, up_to = await self._unsealed_ids(log)
            return await self._seal(log, after, up_to) if self._is_due(log, after, up_to) else 0

    async def _unsealed_ids(self, log: LogName) -> tuple[int, int]:
        """The id after which rows are not sealed, and the one up to which they are settled."""
        async with self._sessions() as session:
            head = await chain_store.newest(session, log)
        after = head.entry.up_to_id if head else 0
        await self._between_slices()
        return after, await settled(self._sessions, log, after)

    def _is_due(self, log: LogName, after: int, up_to: int) -> bool:
        if up_to == after:
            self._unsealed.pop(log, None)
            return False
        known, since = self._unsealed.get(log, (-1, 0.0))
        if known != after:
            since = time.monotonic()
            self._unsealed[log] = (after, since)
        return up_to - after >= self._segment_rows or time.monotonic() - since >= self._seal_seconds

    async def _seal(self, log: LogName, after: int, up_to: int) -> int:
        builder, reader = SegmentBuilder(after), ChainReader(log, between_slices=self._between_slices)
        position, row_count = after, 0
        while position < up_to and builder.count < self._segment_rows:
            await self._between_slices()
            async with self._sessions() as session:
                size = min(_PAGE, self._segment_rows - builder.count)
                page = await reader.page(session, position, up_to, size)
            builder.add(page.rows)
            position = page.last_id
            row_count += page.row_count
        await self._between_slices()
        return builder.count if builder.count and await self._add(log, position, builder, row_count) else 0

    async def _add(self, log: LogName, up_to: int, builder: SegmentBuilder, row_count: int) -> bool:
        """Add a segment; False if another process has sealed its rows, or retention deleted some meanwhile."""
        parts, after = builder.parts(), builder.after_id
        async with self._sessions() as session:
            await chain_store.lock_chain(await session.connection(execution_options=LOCK_FIRST))
            head = await chain_store.newest(session, log)
            if (head.entry.up_to_id if head else 0) != after:
                return False
            await self._between_slices()  # each statement takes about as long as a slice
            if await _count(session, log, after, up_to) != row_count:
                return False
            await self._between_slices()
            added = await chain_store.add(session, log, head, self.key, up_to_id=up_to, parts=parts)
            is_new_day = head is None or head.entry.at // DAY != added.entry.at // DAY
            if head is not None and is_new_day and log == "decisions":
                await _record_day(session, head)
            await session.commit()
        if is_new_day:
            _log.info("log sealed", log=log, head=str(added.head), key=self.key.key_id if self.key else None)
        return True


async def _record_day(session: AsyncSession, head: StoredEntry) -> None:
    """Record the last heads of a day in the admin log, with which they reach a SIEM."""
    admin = await chain_store.newest(session, "admin")
    heads: dict[str, Detail] = {"decisions": str(head.head), "admin": str(admin.head) if admin else None}
    day = time_of(head.entry.at).date().isoformat()
    record(session, SERVER, "log.seal", f"day:{day}", now=datetime.now(UTC), message=str(head.head), details=heads)


async def _count(session: AsyncSession, log: LogName, after: int, up_to: int) -> int:
    """The number of rows between two ids, in one statement: a row may be moved from one table to another."""
    dialect = dialect_of(session)
    counts = [
        select(func.count()).select_from(table).where(is_within(dialect, table, after, up_to)).scalar_subquery()
        for table in TABLES[log]
    ]
    return sum((await session.execute(select(*counts))).one())

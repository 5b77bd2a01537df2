"""Records when API keys, and the access of apps, were last used, outside of requests."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime
from itertools import islice
from time import monotonic
from types import TracebackType
from typing import Self, TypeAlias

import structlog
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.periodic_task import PeriodicTask
from app.db.availability import error_name, is_away
from app.db.disk import DiskSpace
from app.db.session import Sessions
from app.keys.api_keys import LAST_USED_EVERY, touch

BATCH_SIZE = 1_000  # keys in a statement, which is compiled on the event loop
_MAX_FORGOTTEN = 10_000  # keys at a time, in some two milliseconds
Touch: TypeAlias = Callable[[AsyncSession, Collection[int], datetime], Awaitable[None]]
_log = structlog.stdlib.get_logger("api_keys")


class LastUsed:
    """Collects the ids of used keys and writes them with `touch` every `every_seconds`; a failed write is retried.

    `noun` names in the log what is used. An asynchronous context manager: on exit the rest is written. `limit` is the
    number of keys whose last write is remembered; a key that was evicted may be written more than once a minute.
    """

    def __init__(
        self,
        sessions: Sessions,
        disk: DiskSpace | None = None,
        *,
        touch: Touch = touch,
        noun: str = "API keys",
        every_seconds: float = 5.0,
        limit: int = 100_000,
    ) -> None:
        self._sessions = sessions
        self._disk = disk
        self._touch = touch
        self._noun = noun
        self._limit = limit
        self._waiting: set[int] = set()
        # Notes that a key was used now. Without a further call, since every request with a key passes here.
        self.note_use: Callable[[int], None] = self._waiting.add
        self._written: dict[int, float] = {}  # key id to the monotonic time of its last write, oldest first
        self._task = PeriodicTask("last used", self._write, every_seconds=every_seconds)

    async def __aenter__(self) -> Self:
        self._task.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._task.stop()
        self._leave_out_recent()
        while self._waiting:
            if not await self._flush():
                _log.error(f"last use of {self._noun} is lost", keys=len(self._waiting))
                break

    async def _write(self) -> None:
        self._leave_out_recent()
        for _ in range(0, len(self._waiting), min(BATCH_SIZE, self._limit)):
            if not await self._flush():
                break

    async def flush(self) -> bool:
        """Write the waiting keys, at most a batch; return False if that failed, and they keep waiting.

        Keys that were written less than a minute ago are left out.
        """
        self._leave_out_recent()
        return await self._flush()

    def _leave_out_recent(self) -> None:
        now, every = monotonic(), LAST_USED_EVERY.total_seconds()
        # What remains of a very large number is left out until the next time.
        for key_id, written in list(islice(self._written.items(), _MAX_FORGOTTEN)):
            if now - written < every:
                break
            del self._written[key_id]
        self._waiting -= self._written.keys() & self._waiting  # which visits the smaller of both

    async def _flush(self) -> bool:
        if not self._waiting:
            return True
        if self._disk is not None and self._disk.shortage:
            return False
        used = set(islice(self._waiting, min(BATCH_SIZE, self._limit)))
        self._waiting -= used
        try:
            async with self._sessions() as session:
                await self._touch(session, used, datetime.now(UTC))
                await session.commit()
        except Exception as error:  # noqa: BLE001  # no error may end the writer
            self._waiting |= used
            unexpected = None if is_away(error) else error
            _log.error(
                f"last use of {self._noun} not written yet",
                keys=len(self._waiting),
                error=error_name(error),
                exc_info=unexpected,
            )
            return False
        self._remember(used)
        return True

    def _remember(self, used: set[int]) -> None:
        now = monotonic()
        for key_id in used:
            self._written.pop(key_id, None)
            self._written[key_id] = now
        while len(self._written) > self._limit:
            del self._written[next(iter(self._written))]

"""Notes when API keys were last used, off the path of a request."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import islice
from time import monotonic
from types import TracebackType
from typing import Self

import structlog

from app.audit.periodic_task import PeriodicTask
from app.db.availability import is_away, named
from app.db.disk import DiskSpace
from app.db.session import Sessions
from app.keys.api_keys import LAST_USED_EVERY, touch

AT_ONCE = 1_000  # keys in one statement, for its words are made on the event loop
_log = structlog.stdlib.get_logger("api_keys")


class LastUsed:
    """Collects the ids of keys that were used and writes them every few seconds; what fails is tried again.

    `async with` it: on leaving, what is left is written. `every_seconds` is how often it writes. `limit` is how
    many keys it remembers: one that it forgot may be written more than once a minute.
    """

    def __init__(
        self, sessions: Sessions, disk: DiskSpace | None = None, *, every_seconds: float = 5.0, limit: int = 100_000
    ) -> None:
        self._sessions = sessions
        self._disk = disk
        self._limit = limit
        self._waiting: set[int] = set()
        self._written: dict[int, float] = {}  # key id to the monotonic time of its last write, oldest first
        self._rounds = PeriodicTask("last used", self._round, every_seconds=every_seconds)

    def seen(self, key_id: int) -> None:
        """A key was used now."""
        written = self._written.get(key_id)
        if written is None or monotonic() - written >= LAST_USED_EVERY.total_seconds():
            self._waiting.add(key_id)

    async def __aenter__(self) -> Self:
        self._rounds.begin()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._rounds.end()
        while self._waiting:
            if not await self.flush():
                _log.error("last use of API keys is lost", keys=len(self._waiting))
                break

    async def _round(self) -> None:
        for _ in range(0, len(self._waiting), min(AT_ONCE, self._limit)):
            if not await self.flush():
                break

    async def flush(self) -> bool:
        """Write what waits, or the first of it; False if that failed, and then it still waits."""
        if not self._waiting:
            return True
        if self._disk is not None and self._disk.shortage:
            return False
        used = set(islice(self._waiting, min(AT_ONCE, self._limit)))
        self._waiting -= used
        try:
            async with self._sessions() as session:
                await touch(session, used, datetime.now(UTC))
                await session.commit()
        except Exception as error:  # noqa: BLE001  # whatever it was, it must not end the writer
            self._waiting |= used
            unforeseen = None if is_away(error) else error
            _log.error(
                "last use of API keys not written yet",
                keys=len(self._waiting),
                error=named(error),
                exc_info=unforeseen,
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

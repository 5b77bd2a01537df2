"""Back-pressure of the decision log: room for AuthZEN requests, and delays of known callers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from app.audit.decision_queue import Share

ROOM_SECONDS = 1.0


class LogFull(Exception):
    """The queue of the decision log has no room for the decisions of a request."""

    detail = "The decision log is full."
    retry_after = 1  # seconds

    def __init__(self) -> None:
        super().__init__(self.detail)


class Admission:
    """Reserves room in a share, in the order of the requests.

    While `is_suspended`, all requests are admitted: nothing may become free, and a log that cannot be written must not
    end the service. Their decisions may be dropped.
    """

    def __init__(self, share: Share) -> None:
        self._share = share
        self._waiting: dict[asyncio.Future[None], int] = {}  # numbers of entries, the oldest request first
        self._is_suspended = False

    @property
    def has_room(self) -> bool:
        """Whether one more decision has room. Holds until the event loop runs another task."""
        return self._is_suspended or self._share.fits(1)

    @asynccontextmanager
    async def room_for(self, count: int) -> AsyncIterator[None]:
        """Keep room for at most `count` decisions while the block runs.

        Waits at most ROOM_SECONDS. Raises LogFull.
        """
        count = min(count, self._share.capacity)
        await self._reserve(count)
        try:
            yield
        finally:
            self._share.reserved -= count
            self.admit()

    def suspend(self) -> None:
        """Admit all requests, since the log cannot be written."""
        self._is_suspended = True
        self.admit()

    def resume(self) -> None:
        """Admit requests by room again."""
        self._is_suspended = False

    def admit(self) -> None:
        """Admit the requests for which there is room now."""
        while self._waiting:
            future = next(iter(self._waiting))
            if not self._fits(self._waiting[future]):
                return
            self._share.reserved += self._waiting.pop(future)
            future.set_result(None)

    def _fits(self, count: int) -> bool:
        return self._is_suspended or self._share.fits(count)

    async def _reserve(self, count: int) -> None:
        if not self._waiting and self._fits(count):
            self._share.reserved += count
            return
        future = asyncio.get_running_loop().create_future()
        self._waiting[future] = count
        try:
            await asyncio.wait({future}, timeout=ROOM_SECONDS)
        except asyncio.CancelledError:
            if future.done():
                self._share.reserved -= count
            raise
        finally:
            self._waiting.pop(future, None)
            self.admit()  # a shorter request may have waited for this one
        if not future.done():
            raise LogFull


class Throttle:
    """Delays the answers to callers whose share fills faster than it is written, so that nothing has to be dropped.

    Their decisions are queued already: what is free has room for those of requests that are being answered.
    """

    def __init__(self, share: Share) -> None:
        self._waiting = share.waiting
        self._limit = share.capacity * 3 // 4
        self._relieved = asyncio.Event()
        self._is_suspended = False

    @property
    def is_crowded(self) -> bool:
        """Whether to wait."""
        return len(self._waiting) > self._limit and not self._is_suspended

    async def wait(self) -> None:
        """Wait until there is room again, at most ROOM_SECONDS."""
        self._relieved.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._relieved.wait(), ROOM_SECONDS)

    def relieve(self) -> None:
        """End the waits if there is room."""
        if not self.is_crowded:
            self._relieved.set()

    def suspend(self) -> None:
        """Delay no request, since the log cannot be written."""
        self._is_suspended = True
        self._relieved.set()

    def resume(self) -> None:
        """Delay requests again."""
        self._is_suspended = False

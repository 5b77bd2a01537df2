"""The number of short requests in progress, which take precedence over long work."""

from __future__ import annotations

import asyncio

GIVE_WAY_SECONDS = 0.005  # several times what a short request takes


class Traffic:
    """Counts short requests, from their arrival until their response starts.

    A request is not counted while it does long work, waits for its turn or is delayed by the throttle of refusals.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def enter(self) -> None:
        """Count a request."""
        self.requests += 1

    def leave(self) -> None:
        """Stop counting a request."""
        self.requests -= 1
        if self._waiting and not self.requests:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def give_way(self) -> None:
        """Let other tasks run, and wait until no short request is in progress, for at most `GIVE_WAY_SECONDS`.

        The limit lets long work continue, slice by slice, under any number of short requests.
        """
        await asyncio.sleep(0)
        if not self.requests:
            return
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(GIVE_WAY_SECONDS, _wake, waiting)
        self._waiting.add(waiting)
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.discard(waiting)


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)

"""Requests that are being answered now, to which long work gives way."""

from __future__ import annotations

import asyncio

GIVE_WAY_SECONDS = 0.005  # several times what a short request takes


class Traffic:
    """Counts short requests, from their head to the beginning of their answer.

    Requests that do long work, or wait for their turn or for the pace of refusals, are not counted meanwhile.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._waiting: set[asyncio.Future[None]] = set()

    def enter(self) -> None:
        """Count a request."""
        self.requests += 1

    def leave(self) -> None:
        """Count it no longer."""
        self.requests -= 1
        if self._waiting and not self.requests:
            for waiting in self._waiting:
                if not waiting.done():
                    waiting.set_result(None)

    async def give_way(self) -> None:
        """Let the loop turn, and wait until no short request is being answered, or for `GIVE_WAY_SECONDS`.

        Long work goes on with one slice after that, however many short requests there are.
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

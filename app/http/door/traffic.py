"""The number of short requests in progress, which take precedence over long work."""

from __future__ import annotations

import asyncio
import os

from litestar.types import Receive, ReceiveMessage

GIVE_WAY_SECONDS = 0.005  # several times what a short request takes
# While a request is always in progress: it may wait for the database or another host, and a slice takes 0.3 ms.
LEAST_SECONDS = 0.001
# Of the event loop, between two slices of long work. Servers read, start and count a request in different iterations,
# so that with fewer a request that has arrived waits for a slice several times.
_ITERATIONS = 3
SMALL_PIECE_BYTES = 512  # of a body: less than the TCP segments of the least usual size, of 536 bytes
_PROMPT_PIECES = 32  # of a body, and one for each so many bytes: any further ones are small
_SMALL_PIECE_SECONDS = 0.001


class Traffic:
    """Counts short requests, from their arrival until their response starts.

    A request is not counted while it does long work, waits for its turn or its body, or while its refusal is delayed.
    """

    def __init__(self) -> None:
        self.requests = 0
        self._waiting: dict[asyncio.Future[None], None] = {}  # the one that has waited longest first
        self._is_scheduled = False
        self._limit = GIVE_WAY_SECONDS
        self._small_pieces = asyncio.Lock()

    def enter(self) -> None:
        """Count a request."""
        self.requests += 1

    def leave(self) -> None:
        """Stop counting a request."""
        self.requests -= 1
        if self._waiting and not self.requests:
            self._schedule()

    async def give_way(self) -> None:
        """Let other tasks run, and wait until no short request is in progress, for at most `GIVE_WAY_SECONDS`.

        Tasks that wait continue one after the other, with a few iterations of the event loop between their slices. The
        limit lets them continue, slice by slice, under any number of short requests. It falls to `LEAST_SECONDS` while
        there is always one in progress.
        """
        loop = asyncio.get_running_loop()
        waiting: asyncio.Future[None] = loop.create_future()
        self._waiting[waiting] = None
        timer = loop.call_later(self._limit, self._give_up, waiting)
        self._schedule()
        try:
            await waiting
        finally:
            timer.cancel()
            self._waiting.pop(waiting, None)

    async def before_small_piece(self) -> None:
        """Wait before a small piece of a body. Those of all requests are read one after the other, 1,000 a second."""
        async with self._small_pieces:
            await self.give_way()
            await asyncio.sleep(_SMALL_PIECE_SECONDS)

    def _give_up(self, waiting: asyncio.Future[None]) -> None:
        """Continue although requests are in progress."""
        if self.requests:
            self._limit = max(self._limit / 2, LEAST_SECONDS)
        _wake(waiting)

    def _schedule(self) -> None:
        if not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._pass, _ITERATIONS)

    def _pass(self, iterations: int) -> None:
        """Let an iteration pass; in the last one, the task that has waited longest continues."""
        # Linux lets a thread that has read a request wait for the processor until the next tick of its clock, in 4 ms.
        os.sched_yield()
        if iterations > 1 and not self.requests:
            asyncio.get_running_loop().call_soon(self._pass, iterations - 1)
            return
        self._is_scheduled = False
        if self.requests:
            return
        self._limit = GIVE_WAY_SECONDS
        if not self._waiting:
            return
        waiting = next(iter(self._waiting))
        del self._waiting[waiting]
        _wake(waiting)
        if self._waiting:
            self._schedule()


class CountedRequest:
    """A request that is counted until `end`, except while it waits for its body.

    Otherwise a client that sends its body slowly would slow all long work down. Small pieces of bodies wait, since
    granian takes as long for each as for a short request.
    """

    __slots__ = ("_bytes", "_has_ended", "_is_counted", "_pieces", "_receive", "_traffic")

    def __init__(self, traffic: Traffic, receive: Receive) -> None:
        self._traffic = traffic
        self._receive = receive
        self._is_counted, self._has_ended = True, False
        self._pieces = self._bytes = 0
        traffic.requests += 1

    def end(self) -> None:
        """Stop counting the request. Does nothing the second time."""
        self._has_ended = True
        if self._is_counted:
            self._is_counted = False
            self._traffic.leave()

    async def receive(self) -> ReceiveMessage:
        """Receive a message of the request."""
        if not self._is_counted:
            return await self._receive()
        self._is_counted = False
        self._traffic.leave()
        try:
            if self._pieces >= _PROMPT_PIECES + self._bytes // SMALL_PIECE_BYTES:
                await self._traffic.before_small_piece()
            message = await self._receive()
            if message["type"] == "http.request":
                self._pieces += 1
                self._bytes += len(message.get("body", b""))
            return message
        finally:
            if not self._has_ended:
                self._is_counted = True
                self._traffic.enter()


def _wake(waiting: asyncio.Future[None]) -> None:
    if not waiting.done():
        waiting.set_result(None)

"""Scheduling of long work: batches and pages that take many times as long as other requests.

Otherwise 64 concurrent batches would each run in every iteration of the event loop, and any other request would wait
for all of them several times.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.audit.give_way import GiveWay
from app.http.door.budgets import BUDGET_REFUSALS, LONG_WORK, TOO_MANY
from app.http.door.traffic import Traffic
from app.http.wire.problems import Problem
from app.http.wire.scope_types import HTTP
from app.services import services_of

MAX_CONCURRENT = 4  # callers of a process, so that one that waits for the database does not block the others
# Waiting requests of a caller, each with its body. Includes those of disconnected clients, which servers do not report.
MAX_WAITING = 128
MAX_WAITING_BYTES = 16_000_000  # of the bodies of these requests
_RETRY_SECONDS = 1
_READ = ("GET", "HEAD")


class LongWork:
    """A queue that runs one piece of long work of each caller at a time, and those of a few callers concurrently."""

    def __init__(self, traffic: Traffic, max_concurrent: int = MAX_CONCURRENT, max_waiting: int = MAX_WAITING) -> None:
        self._traffic = traffic
        self._max_waiting = max_waiting
        self.give_way: GiveWay = traffic.give_way
        self._free = max_concurrent
        self._busy: set[str] = set()
        # By caller, the one that has waited longest first.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()
        self._waiting_bytes: Counter[str] = Counter()

    @asynccontextmanager
    async def turn(self, caller: str, body_bytes: int = 0) -> AsyncIterator[None]:
        """A turn of a caller, for a request with a body of this length. Raises Problem 429.

        The block must not wait for a client, which could hold the turn for ever.
        """
        await self.begin(caller, body_bytes)
        try:
            yield
        finally:
            self.end(caller)

    def check_waiting(self, caller: str, body_bytes: int = 0) -> None:
        """Raises Problem 429 if one more request of a caller, with a body of this length, may not wait."""
        too_long = self._waiting_bytes[caller] + body_bytes > MAX_WAITING_BYTES
        if too_long or len(self._waiting.get(caller, ())) >= self._max_waiting:
            BUDGET_REFUSALS[LONG_WORK] += 1
            raise Problem(429, TOO_MANY, headers={"Retry-After": str(_RETRY_SECONDS)})

    async def begin(self, caller: str, body_bytes: int = 0) -> None:
        """Wait for the turn of a caller, which lasts until `end`, and until no short request is running.

        Raises Problem 429.
        """
        self.check_waiting(caller, body_bytes)
        self._traffic.leave()
        try:
            await self._take_turn(caller, body_bytes)
        except asyncio.CancelledError:
            self._traffic.enter()
            raise
        try:
            await self._traffic.give_way()
        except asyncio.CancelledError:
            self.end(caller)
            raise

    async def _take_turn(self, caller: str, body_bytes: int) -> None:
        if self._free and caller not in self._busy:
            self._free -= 1
            self._busy.add(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        self._waiting_bytes[caller] += body_bytes
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # the turn was given to it at the same moment
                self._pass_on(caller)
            raise
        finally:
            self._waiting_bytes[caller] -= body_bytes
            if not self._waiting_bytes[caller]:
                del self._waiting_bytes[caller]

    def end(self, caller: str) -> None:
        """End the turn of a caller, and begin the next."""
        self._traffic.enter()
        self._pass_on(caller)

    def _pass_on(self, caller: str) -> None:
        self._busy.remove(caller)
        self._free += 1
        if caller in self._waiting:
            self._waiting.move_to_end(caller)
        for waiting in [each for each in self._waiting if each not in self._busy]:
            if not self._free:
                return
            self._begin_next(waiting)

    def _begin_next(self, caller: str) -> None:
        turns = self._waiting.pop(caller)
        while turns:
            turn = turns.popleft()
            if not turn.done():  # a waiting request may have been cancelled
                self._free -= 1
                self._busy.add(caller)
                turn.set_result(None)
                break
        if turns:
            self._waiting[caller] = turns  # at the end of the queue


def in_turn(app: ASGIApp) -> ASGIApp:
    """Middleware for handlers whose GET is long work. The turn ends when the response starts, for a slow client."""

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP or scope["method"] not in _READ:
            await app(scope, receive, send)
            return
        work = services_of(scope["litestar_app"]).long_work
        caller: str = scope["user"].subject
        await work.begin(caller)
        has_turn = True

        def end() -> None:
            nonlocal has_turn
            if has_turn:
                has_turn = False
                work.end(caller)

        async def send_after_turn(message: Message) -> None:
            end()
            await send(message)

        try:
            await app(scope, receive, send_after_turn)
        finally:
            end()

    return waiting

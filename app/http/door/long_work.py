"""Turns at long work: batches and pages that take many times as long as other requests.

Without turns, 64 batches at the same time would each have a slice of every round of the event loop, and any other
request would wait for all of them, several times.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app.http.door.budgets import BUDGET_REFUSALS, LONG_WORK, TOO_MANY
from app.http.door.traffic import Traffic
from app.http.wire.problems import Problem
from app.services import services_of

AT_ONCE = 4  # callers of a process, so that a wait for the database does not stop all of them
# Requests of a caller, each with its body. One whose client has left waits as well: the server does not tell.
MAX_WAITING = 128
_RETRY_SECONDS = 1
_READ = ("GET", "HEAD")


class LongWork:
    """Lets each caller do one piece of long work at a time, and a few callers at the same time; others wait in turn."""

    def __init__(self, traffic: Traffic, at_once: int = AT_ONCE, max_waiting: int = MAX_WAITING) -> None:
        self._traffic = traffic
        self._max_waiting = max_waiting
        self.give_way = traffic.give_way
        self._free = at_once
        self._busy: set[str] = set()
        # By caller, the one that has waited longest for its turn first.
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    @asynccontextmanager
    async def turn(self, caller: str) -> AsyncIterator[None]:
        """A turn of a caller. Nothing in it may wait for a client, who could keep it for ever. Raises Problem 429."""
        await self.begin(caller)
        try:
            yield
        finally:
            self.end(caller)

    def check_waiting(self, caller: str) -> None:
        """Refuse another request of a caller of whom as many wait as may. Raises Problem 429."""
        if len(self._waiting.get(caller, ())) >= self._max_waiting:
            BUDGET_REFUSALS[LONG_WORK] += 1
            raise Problem(429, TOO_MANY, headers={"Retry-After": str(_RETRY_SECONDS)})

    async def begin(self, caller: str) -> None:
        """Wait for the turn of a caller, which lasts until `end`, and for a moment without short requests.

        Raises Problem 429.
        """
        self.check_waiting(caller)
        self._traffic.leave()
        try:
            await self._take_turn(caller)
        except asyncio.CancelledError:
            self._traffic.enter()
            raise
        try:
            await self._traffic.give_way()
        except asyncio.CancelledError:
            self.end(caller)
            raise

    async def _take_turn(self, caller: str) -> None:
        if self._free and caller not in self._busy:
            self._free -= 1
            self._busy.add(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(caller, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it had its turn in the same moment
                self._pass_on(caller)
            raise

    def end(self, caller: str) -> None:
        """End the turn of a caller, and begin the next."""
        self._traffic.enter()
        self._pass_on(caller)

    def _pass_on(self, caller: str) -> None:
        self._busy.remove(caller)
        self._free += 1
        if caller in self._waiting:
            self._waiting.move_to_end(caller)  # others first
        for waiting in [each for each in self._waiting if each not in self._busy]:
            if not self._free:
                return
            self._begin_next(waiting)

    def _begin_next(self, caller: str) -> None:
        turns = self._waiting.pop(caller)
        while turns:
            turn = turns.popleft()
            if not turn.done():  # a request may have ended meanwhile
                self._free -= 1
                self._busy.add(caller)
                turn.set_result(None)
                break
        if turns:
            self._waiting[caller] = turns  # behind all others


def in_turn(app: ASGIApp) -> ASGIApp:
    """Middleware for handlers whose GET is long work. The turn ends when the answer begins: its client may be slow."""

    async def waiting(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != ScopeType.HTTP or scope["method"] not in _READ:
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

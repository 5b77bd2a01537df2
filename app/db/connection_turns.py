"""Divides the connections of a process among its callers, so that one of them cannot keep the others waiting.

A request of a caller can hold a connection while it waits for a lock: many requests to issue keys of one owner wait for
each other. In the order of arrival, all other requests would wait for all of these.
"""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable
from contextvars import ContextVar

Caller = tuple[str, str]  # a kind, such as an address, and the name
# Identifies the caller of a request. None for work of the process, such as lookups of credentials and the decision log.
caller_of_request: ContextVar[Callable[[], Caller] | None] = ContextVar("caller_of_request", default=None)


class ConnectionTurns:
    """Turns to have one of `free` connections: alternately one of the process, and one of the next waiting caller.

    A caller holds no more connections than it leaves free for others: the first one half of all, another one half of
    the rest.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._held: Counter[Caller] = Counter()
        self._waiting: deque[asyncio.Future[None]] = deque()  # of the process
        self._last_was_own = False  # the last turn that was waited for
        # Of callers, the one first that has waited longest for a turn.
        self._callers: OrderedDict[Caller, deque[asyncio.Future[None]]] = OrderedDict()

    async def take(self, caller: Caller | None, seconds: float) -> None:
        """Wait for a turn, which lasts until `give_back`. Raises TimeoutError."""
        if self._may_take(caller):
            self._count(caller)
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        (self._waiting if caller is None else self._callers.setdefault(caller, deque())).append(turn)
        try:
            async with asyncio.timeout(seconds):
                await turn
        except BaseException:
            if turn.done() and not turn.cancelled():  # it was given at the same moment
                self.give_back(caller)
            else:
                turn.cancel()
                self._forget(caller, turn)
            raise

    def give_back(self, caller: Caller | None) -> None:
        """End a turn of a caller, and begin those that may begin."""
        self._free += 1
        if caller is not None:
            self._held[caller] -= 1
            if not self._held[caller]:
                del self._held[caller]
        while self._free and (turn := self._next()) is not None:
            turn.set_result(None)

    def _may_take(self, caller: Caller | None) -> bool:
        return self._free > (0 if caller is None else self._held[caller])

    def _count(self, caller: Caller | None) -> None:
        self._free -= 1
        if caller is not None:
            self._held[caller] += 1

    def _next(self) -> asyncio.Future[None] | None:
        # Few callers have so many connections that they may not take one.
        caller = next(filter(self._may_take, self._callers), None)
        if self._waiting and (caller is None or not self._last_was_own):
            self._last_was_own = True
            self._count(None)
            return self._waiting.popleft()
        if caller is None:
            return None
        self._last_was_own = False
        self._count(caller)
        turn = self._callers[caller].popleft()
        self._callers.move_to_end(caller)
        self._drop_if_empty(caller)
        return turn

    def _forget(self, caller: Caller | None, turn: asyncio.Future[None]) -> None:
        if caller is None:
            self._waiting.remove(turn)
            return
        self._callers[caller].remove(turn)
        self._drop_if_empty(caller)

    def _drop_if_empty(self, caller: Caller) -> None:
        if not self._callers[caller]:
            del self._callers[caller]

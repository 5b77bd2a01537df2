"""Throttle of refusals: a flood of unauthenticated requests is answered slowly, and hardly slows other callers down.

A connection that waits for its response sends no further request. Requests with valid credentials never wait.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.http.door.traffic import Traffic

PER_SECOND = 500  # about a tenth of what a process can send
BURST = 50
MAX_DELAY_SECONDS = 1.0


class RefusalThrottle:
    """Limits the refusals of a process to `per_second`, with a burst, for all peers together. `clock` is monotonic."""

    def __init__(
        self, traffic: Traffic, per_second: int = PER_SECOND, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._traffic = traffic
        self._interval = 1 / per_second
        self._burst = BURST / per_second
        self._clock = clock
        self._next = 0.0

    def delay(self) -> float:
        """Schedule a refusal. Returns the seconds until then, at most `MAX_DELAY_SECONDS`."""
        now = self._clock()
        send_at = max(self._next, now - self._burst)
        # Beyond the longest delay, refusals are sent at the same time instead of later.
        self._next = min(send_at + self._interval, now + MAX_DELAY_SECONDS)
        return max(0.0, send_at - now)

    async def wait(self, least: float = 0.0) -> None:
        """Wait until the next refusal may be sent, and for at least `least` seconds."""
        if (delay := max(self.delay(), least)) > 0:
            self._traffic.leave()
            try:
                await asyncio.sleep(delay)
            finally:
                self._traffic.enter()

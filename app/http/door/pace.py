"""The pace of refusals: a flood of strangers is answered slowly, and costs callers that are known little.

A connection that waits for its answer asks nothing else. Credentials are verified first: a good one never waits.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from app.http.door.traffic import Traffic

PER_SECOND = 500  # of a process, some tenth of what it can do
BURST = 50
MAX_DELAY_SECONDS = 1.0


class Pace:
    """Places for so many refusals a second, from all peers together, and a few at once. `clock` is monotonic."""

    def __init__(
        self, traffic: Traffic, per_second: int = PER_SECOND, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._traffic = traffic
        self._interval = 1 / per_second
        self._ahead = BURST / per_second
        self._clock = clock
        self._next = 0.0

    def delay(self) -> float:
        """Take the next place. The seconds until it comes; never more than `MAX_DELAY_SECONDS`."""
        now = self._clock()
        place = max(self._next, now - self._ahead)
        # Where as many wait as have a place within the longest delay, no further place is taken.
        self._next = min(place + self._interval, now + MAX_DELAY_SECONDS)
        return max(0.0, place - now)

    async def wait(self, least: float = 0.0) -> None:
        """Wait for the next place, and for so many seconds at least."""
        if (delay := max(self.delay(), least)) > 0:
            self._traffic.leave()
            try:
                await asyncio.sleep(delay)
            finally:
                self._traffic.enter()

"""Time slices of the event loop, into which long work is divided."""

from __future__ import annotations

from time import perf_counter

from app.audit.give_way import GiveWay, yield_to_loop

# A short request waits for two or three slices before it is counted, since the server reads and starts it in different
# iterations of the event loop.
SLICE_SECONDS = 0.0003


class TimeSlice:
    """A time slice, after which other tasks run."""

    __slots__ = ("_ends", "_give_way")

    def __init__(self, give_way: GiveWay = yield_to_loop) -> None:
        self._give_way = give_way
        self._ends = perf_counter() + SLICE_SECONDS

    @property
    def is_over(self) -> bool:
        """Whether the time slice has ended."""
        return perf_counter() >= self._ends

    async def next(self) -> None:
        """Let other tasks run, and start another time slice."""
        await self._give_way()
        self._ends = perf_counter() + SLICE_SECONDS

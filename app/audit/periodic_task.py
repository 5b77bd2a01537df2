"""A background task that does its work at intervals."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


async def pause(stop: asyncio.Event, seconds: float) -> None:
    """Wait for this time, or until `stop` is set."""
    with suppress(TimeoutError):
        await asyncio.wait_for(stop.wait(), seconds)


class PeriodicTask:
    """Awaits `work()` repeatedly from `start` to `stop`, with a pause of `every_seconds` before each run."""

    def __init__(self, name: str, work: Callable[[], Awaitable[None]], *, every_seconds: float) -> None:
        self._name = name
        self._work = work
        self._every_seconds = every_seconds
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_stopping(self) -> bool:
        """Whether this run is the last one."""
        return self._stopping.is_set()

    def start(self) -> None:
        """Start the task; the first run follows a pause."""
        self._stopping.clear()
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        """Start no further run, and wait for the current one."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def pause(self, seconds: float) -> None:
        """Wait for this time, or until the task is stopped."""
        await pause(self._stopping, seconds)

    async def _run(self) -> None:
        while not self.is_stopping:
            await self.pause(self._every_seconds)
            await self._work()

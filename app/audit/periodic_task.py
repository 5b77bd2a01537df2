"""Work that is done every so often, beside all else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress


async def pause(over: asyncio.Event, seconds: float) -> None:
    """Wait for so long, or until something is over."""
    with suppress(TimeoutError):
        await asyncio.wait_for(over.wait(), seconds)


class PeriodicTask:
    """Does something again and again, `every_seconds` after the last time, from `begin` to `end`."""

    def __init__(self, name: str, do: Callable[[], Awaitable[None]], *, every_seconds: float) -> None:
        self._name = name
        self._do = do
        self._every_seconds = every_seconds
        self._over = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def over(self) -> bool:
        """Whether no more are to come."""
        return self._over.is_set()

    def begin(self) -> None:
        """Begin, with a pause first."""
        self._over.clear()
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def end(self) -> None:
        """Begin no more, and wait for the one at hand."""
        self._over.set()
        if self._task is not None:
            await self._task

    async def pause(self, seconds: float) -> None:
        """Wait for so long, or until no more are to come."""
        await pause(self._over, seconds)

    async def _run(self) -> None:
        while not self.over:
            await self.pause(self._every_seconds)
            await self._do()

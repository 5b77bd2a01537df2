"""How long work lets other tasks of the event loop run."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

GiveWay = Callable[[], Awaitable[None]]  # awaited between the slices of long work


async def yield_to_loop() -> None:
    """Let other tasks run."""
    await asyncio.sleep(0)

"""What is begun for a caller and finished even when the caller leaves."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TypeVar

from anyio import CancelScope
from anyio.lowlevel import checkpoint_if_cancelled

_T = TypeVar("_T")


async def shielded(query: Awaitable[_T]) -> _T:
    """The outcome of a query; it notices when the caller of a stream has left.

    A query that is cut off leaves its connection half closed.
    """
    with CancelScope(shield=True):
        found = await query
    # Sending to one who left may never wait, and only what waits is cancelled.
    await checkpoint_if_cancelled()
    return found

"""Detects from another process whether the event loop of a worker runs."""

from __future__ import annotations

import asyncio
import mmap

BEAT_SECONDS = 1.0
_MASK = 2**64 - 1


class Heartbeat:
    """A counter that a worker increments and its supervisor reads. Create it before the fork.

    Silence is counted in checks of the supervisor and not in time: after the machine slept, or both processes were
    stopped, the supervisor has not checked more often than the worker could beat.
    """

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, 8)  # shared by both
        self._seen = 0
        self._silent_looks = 0

    def start(self) -> None:
        """Beat on the running event loop until it stops."""
        beats = (int.from_bytes(self._memory[:8], "big") + 1) & _MASK
        self._memory[:8] = beats.to_bytes(8, "big")
        asyncio.get_running_loop().call_later(BEAT_SECONDS, self.start)

    def look(self) -> int:
        """Check once each BEAT_SECONDS; return the number of silent checks, 0 before the first beat."""
        beats = int.from_bytes(self._memory[:8], "big")
        self._silent_looks = 0 if beats != self._seen or beats == 0 else self._silent_looks + 1
        self._seen = beats
        return self._silent_looks

    def close(self) -> None:
        """Free the memory in this process."""
        self._memory.close()

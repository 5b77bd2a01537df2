"""A clock that a test controls."""

from __future__ import annotations


class Clock:
    """A monotonic clock in seconds that the test advances."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now

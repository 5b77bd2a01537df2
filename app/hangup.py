"""Handling of a SIGHUP that arrives before there is a policy to reload: it is kept for later."""

from __future__ import annotations

import signal


class Hangup:
    """Whether a SIGHUP is `pending`."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = False

    def install(self) -> None:
        """Install a handler that only sets `pending`. Call it in the main thread."""
        signal.signal(signal.SIGHUP, self._set_pending)

    def _set_pending(self, *_: object) -> None:
        self.pending = True

    def take(self) -> bool:
        """Return `pending`, and reset it."""
        pending, self.pending = self.pending, False
        return pending


# Global, as signal handlers are. Workers inherit it when they are forked.
hangup = Hangup()

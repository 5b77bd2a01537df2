"""SIGHUP while there is no policy to reload yet: it is remembered, and does not end the process."""

from __future__ import annotations

import signal


class Hangup:
    """`pending` is whether a SIGHUP came that nothing has acted on."""

    __slots__ = ("pending",)

    def __init__(self) -> None:
        self.pending = False

    def remember(self) -> None:
        """From now on a SIGHUP only sets `pending`. Call it in the main thread."""
        signal.signal(signal.SIGHUP, self._note)

    def _note(self, *_: object) -> None:
        self.pending = True

    def take(self) -> bool:
        """Whether one is pending, which it is no longer."""
        pending, self.pending = self.pending, False
        return pending


# Of the process, as the signal is. Workers that are forked later take over what is pending.
hangup = Hangup()

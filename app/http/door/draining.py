"""Whether this process is about to stop: then each answer asks its client to reconnect, elsewhere."""

from __future__ import annotations

from collections.abc import Callable

import structlog

_log = structlog.stdlib.get_logger("server")


class Draining:
    """`begun` turns true once, when a server has been told to stop, and before it stops to listen.

    `at_once` is set when the parent process is gone, so that listening on has no use. `of_all` says whether
    every process on the listening socket stops, and not this one alone.
    """

    __slots__ = ("at_once", "begun", "of_all")

    def __init__(self) -> None:
        self.begun = False
        self.at_once = False
        self.of_all: Callable[[], bool] = lambda: True

    def begin(self, seconds: float) -> None:
        """Begin to drain, and say for how many seconds it is still listened."""
        self.begun = True
        _log.info("draining", seconds=0 if self.at_once else seconds)


# Of the process, as the signal is that begins it.
draining = Draining()
CLOSE = (b"connection", b"close")

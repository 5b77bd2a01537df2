"""Draining of connections before this process stops: each response then has `Connection: close`."""

from __future__ import annotations

from collections.abc import Callable

import structlog

_log = structlog.stdlib.get_logger("server")


class Draining:
    """The state of draining.

    `begun` is set when the server receives the signal to stop, before it closes its listening socket. `immediate` is
    set if the parent process has ended, so that there is no reason to listen any longer. `all_workers_stop` returns
    whether all processes on the listening socket stop, and not only this one.
    """

    __slots__ = ("all_workers_stop", "begun", "immediate")

    def __init__(self) -> None:
        self.begun = False
        self.immediate = False
        self.all_workers_stop: Callable[[], bool] = lambda: True

    def begin(self, seconds: float) -> None:
        """Begin to drain, and log for how many seconds the server still listens."""
        self.begun = True
        _log.info("draining", seconds=0 if self.immediate else seconds)


# Global, as the handler of the signal is.
draining = Draining()
CLOSE = (b"connection", b"close")

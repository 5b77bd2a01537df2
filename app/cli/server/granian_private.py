"""All private API of granian that this program uses.

granian's embeddable server opens its own socket and has no public option to serve on one that is open already, as the
workers of `authz serve` must. Its logger is named after a private module. tests/cli/server/test_granian_private.py
fails if any of this changes.
"""

from __future__ import annotations

import os
import socket
from typing import Any

from granian.net import SocketHolder  # type: ignore[attr-defined]  # published there, but not marked for type checkers
from granian.server.embed import Server

LOGGER = "_granian"
_new_holder: Any = SocketHolder  # the stub has no constructor


class SharedSocketServer(Server):
    """granian's embeddable server, on a listening socket that stays open when it stops."""

    def __init__(self, target: Any, listener: socket.socket, *, backlog: int, **options: Any) -> None:
        super().__init__(target, backlog=backlog, **options)
        self._listener = listener
        self._listener_backlog = backlog

    def _init_shared_socket(self) -> None:
        duplicate = os.dup(self._listener.fileno())  # granian closes its socket
        self._ssp, self._shd = None, _new_holder(duplicate, False, self._listener_backlog)

"""The open connections of each peer of a server, which are limited."""

from __future__ import annotations

from collections import Counter

import structlog

from app.cli.server.limits import ConnectionLimits
from app.http.door.budgets import BUDGET_REFUSALS, CONNECTIONS
from app.identity.budget import peer_of

_UNCOUNTED = ""
_log = structlog.stdlib.get_logger("server")  # which leaves out the lines of a flood


class PeerConnections:
    """Counts the connections of each peer. Those of trusted proxies, which serve many clients, are not counted."""

    def __init__(self, limits: ConnectionLimits) -> None:
        self._limits = limits
        self._open: Counter[str] = Counter()

    def open(self, address: str | None) -> str | None:
        """Count a connection from an address, and return the peer to close it with; None beyond the limit."""
        limit = self._limits.connections_per_peer
        if not limit or address is None or self._limits.is_proxy(address):
            return _UNCOUNTED
        peer = peer_of(address)
        if self._open[peer] >= limit:
            BUDGET_REFUSALS[CONNECTIONS] += 1
            _log.warning("a budget is spent", budget=CONNECTIONS, by=peer, refused=BUDGET_REFUSALS[CONNECTIONS])
            return None
        self._open[peer] += 1
        return peer

    def close(self, peer: str) -> None:
        """Count one connection less."""
        if peer != _UNCOUNTED:
            self._open[peer] -= 1
            if not self._open[peer]:
                del self._open[peer]

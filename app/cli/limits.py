"""The limits of connections that servers keep."""

from __future__ import annotations

from dataclasses import dataclass, field

from app.cli.listening import KEEP_ALIVE_SECONDS
from app.gateway.proxies import TrustedProxies
from app.settings import Settings

TARGET_BYTES = 8_192
HEAD_BYTES = 65_536
_BESIDE_A_TOKEN = 16_384  # bytes of a head with the longest token


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What one connection may take.

    `head_bytes` bounds the request line and header fields, and what frames a body: extensions of chunks and trailers.
    A head must arrive within `head_seconds` of its first byte. A body may go without progress for `body_seconds`, and a
    new connection without a request for `idle_seconds`. `connections_per_peer` is 0 for no limit.
    """

    target_bytes: int = TARGET_BYTES
    head_bytes: int = HEAD_BYTES
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = KEEP_ALIVE_SECONDS
    connections_per_peer: int = 0
    proxies: TrustedProxies = field(default_factory=lambda: TrustedProxies(()))

    def is_proxy(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy or gateway, on whose connections many clients come."""
        return self.proxies.trusts(address)


DEFAULT = ConnectionLimits()


def limits_of(settings: Settings) -> ConnectionLimits:
    """The limits that settings state. A head has room for the longest token that is read."""
    return ConnectionLimits(
        head_bytes=max(HEAD_BYTES, settings.max_token_bytes + _BESIDE_A_TOKEN),
        connections_per_peer=settings.connections_per_peer,
        proxies=TrustedProxies((*(settings.trusted_proxies or ()), *settings.gateway_networks)),
    )

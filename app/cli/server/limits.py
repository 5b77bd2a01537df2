"""The limits on connections of both servers."""

from __future__ import annotations

import resource
import sys
from dataclasses import dataclass, field

from app.cli.server.listening import KEEP_ALIVE_SECONDS
from app.gateway.proxies import TrustedProxies
from app.http.door.traffic import SMALL_PIECE_BYTES
from app.settings import Settings

TARGET_BYTES = 8_192
HEAD_BYTES = 65_536
HEAD_FIELDS = 100  # as granian has it; each takes a hundred times as long as the bytes of the smallest one
LINE_BYTES = 4  # of a header field, apart from its name and value
_BODY_PIECES = 1_000  # each of which takes granian some 60 microseconds
# Descriptors reserved for policy files, the database and everything else; at most half of all.
_RESERVED_DESCRIPTORS = 96
_PLENTY_OF_DESCRIPTORS = 65_536
_BESIDE_A_TOKEN = 16_384  # bytes of a head with the longest token


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits on one connection.

    `head_bytes` bounds the request line and header fields, and what frames a body: extensions of chunks and trailers.
    `head_fields` bounds the number of header fields, and that of trailers.
    A head must arrive within `head_seconds` of its first byte. A body may go without progress for `body_seconds`, and a
    new connection without a request for `idle_seconds`. `connections_per_peer` is 0 for no limit.
    """

    target_bytes: int = TARGET_BYTES
    head_bytes: int = HEAD_BYTES
    head_fields: int = HEAD_FIELDS
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    idle_seconds: float = KEEP_ALIVE_SECONDS
    connections_per_peer: int = 0
    proxies: TrustedProxies = field(default_factory=lambda: TrustedProxies(()))

    @staticmethod
    def pieces_of(body_bytes: int) -> int:
        """The number of chunks, or reads, in which so many bytes of a body may arrive."""
        return _BODY_PIECES + body_bytes // SMALL_PIECE_BYTES

    def is_proxy(self, address: str) -> bool:
        """Whether an address belongs to a trusted proxy or gateway, whose connections serve many clients."""
        return self.proxies.trusts(address)

    def client_of(self, address: str) -> str | None:
        """The client of a connection as in the access log: None if it is a trusted proxy, which may serve any."""
        return self.proxies.client_of(address, ())


def raise_descriptor_limit() -> None:
    """Raise the limit of file descriptors as far as allowed, up to a sufficient number."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY in (soft, hard):
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, _PLENTY_OF_DESCRIPTORS)), hard))


def max_connections() -> int:
    """The maximum of connections for which the file descriptors of this process suffice."""
    descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if descriptors == resource.RLIM_INFINITY:
        return sys.maxsize
    return descriptors - min(_RESERVED_DESCRIPTORS, descriptors // 2)


DEFAULT = ConnectionLimits()


def limits_of(settings: Settings) -> ConnectionLimits:
    """The limits of the settings. A head has room for the longest accepted token."""
    return ConnectionLimits(
        head_bytes=max(HEAD_BYTES, settings.max_token_bytes + _BESIDE_A_TOKEN),
        connections_per_peer=settings.connections_per_peer,
        proxies=TrustedProxies((*(settings.trusted_proxies or ()), *settings.gateway_networks)),
    )

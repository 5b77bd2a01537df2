"""Authentication of gateways, by a shared secret or by their address. By default no peer is a gateway."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from app.gateway.profiles import SECRET
from app.gateway.proxies import Network, parse_hop, unmapped_network


class GatewayAuthenticator:
    """Accepts gateways that send any of `secrets`, or whose address is in any of `networks`."""

    def __init__(self, secrets: Iterable[str], networks: Iterable[Network]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._networks = tuple(map(unmapped_network, networks))

    def is_authentic(self, headers: Iterable[tuple[bytes, bytes]], peer: str | None) -> bool:
        """Whether a request comes from a gateway. A wrong secret is refused even from an accepted address."""
        match [value for name, value in headers if name.lower() == SECRET]:
            case []:
                return self._is_accepted_address(peer)
            case [secret]:
                return self._is_valid_secret(secret)
        return False

    def _is_valid_secret(self, candidate: bytes) -> bool:
        valid = False
        for secret in self._secrets:  # all of them, so that the time reveals nothing
            valid |= hmac.compare_digest(candidate, secret)
        return valid

    def _is_accepted_address(self, peer: str | None) -> bool:
        address = parse_hop(peer or "")  # None for a Unix socket
        return address is not None and any(address in network for network in self._networks)

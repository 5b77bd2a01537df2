"""A gateway proves itself, by a secret or by its address; by default no peer is one."""

from __future__ import annotations

import hmac
from collections.abc import Iterable

from app.gateway.profiles import SECRET
from app.gateway.proxies import Network, address_of, unmapped_network


class Proof:
    """Tells gateways from everybody else. Any of `secrets` is good, and so is an address in any of `networks`."""

    def __init__(self, secrets: Iterable[str], networks: Iterable[Network]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._networks = tuple(map(unmapped_network, networks))

    def believes(self, headers: Iterable[tuple[bytes, bytes]], peer: str | None) -> bool:
        """Whether a question comes from a gateway. A wrong secret is not made good by the address it comes from."""
        match [value for name, value in headers if name.lower() == SECRET]:
            case []:
                return self._is_near(peer)
            case [secret]:
                return self._knows(secret)
        return False

    def _knows(self, stated: bytes) -> bool:
        known = False
        for secret in self._secrets:  # all of them, so that the time says nothing
            known |= hmac.compare_digest(stated, secret)
        return known

    def _is_near(self, peer: str | None) -> bool:
        address = address_of(peer or "")  # None of a Unix socket
        return address is not None and any(address in network for network in self._networks)

"""A gateway proves itself, by a secret or by where it is; by default nobody is one."""

from __future__ import annotations

import hmac
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address

from app.gateway.profiles import SECRET


class Proof:
    """Tells gateways from everybody else. Any of `secrets` is good, and so is an address in any of `networks`."""

    def __init__(self, secrets: Iterable[str], networks: Sequence[IPv4Network | IPv6Network]) -> None:
        self._secrets = tuple(secret.encode() for secret in secrets)
        self._networks = tuple(networks)

    def believes(self, headers: Iterable[tuple[bytes, bytes]], peer: str | None) -> bool:
        """Whether a question comes from a gateway. A wrong secret is not made good by the address it comes from."""
        stated = [value for name, value in headers if name.lower() == SECRET]
        if stated:
            return len(stated) == 1 and self._knows(stated[0])
        return self._is_near(peer)

    def _knows(self, stated: bytes) -> bool:
        known = False
        for secret in self._secrets:  # all of them, so that the time says nothing
            known |= hmac.compare_digest(stated, secret)
        return known

    def _is_near(self, peer: str | None) -> bool:
        if not self._networks or peer is None:
            return False
        try:
            address = ip_address(peer)
        except ValueError:  # a socket without an address
            return False
        if isinstance(address, IPv6Address) and address.ipv4_mapped:
            address = address.ipv4_mapped
        return any(address in network for network in self._networks)

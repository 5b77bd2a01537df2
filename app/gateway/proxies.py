"""The address of a client behind the proxies that this deployment trusts.

Each proxy appends the address that it sees to `X-Forwarded-For`, so only the end of that list is reliable. It is read
from the right: trusted proxies are skipped, and the first other address is the client's. An address that cannot be
determined is None, and a condition that reads it allows nothing. `Forwarded` (RFC 7239) and `X-Real-IP` are not
trusted.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from itertools import islice

Network = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address
FORWARDED_FOR = b"x-forwarded-for"
# Most proxies send one of these; `Via` is RFC 9110 section 7.6.3.
PROXY_HEADERS = frozenset((FORWARDED_FOR, b"forwarded", b"x-real-ip", b"via"))
MAX_HOPS = 32
MAX_HOP_BYTES = 64  # an IPv6 address in brackets with its port has 47
_MAX_CACHED = 4_096  # hops, in about 300 bytes each


class TrustedProxies:
    """The networks of trusted proxies: empty if there is no proxy, None if the setting is not set."""

    def __init__(self, networks: Sequence[Network] | None) -> None:
        self._unset = networks is None
        self._networks = tuple(unmapped_network(network) for network in networks or ())
        self._hop = lru_cache(_MAX_CACHED)(self._read)

    def client_of(self, peer: str | None, headers: Iterable[tuple[bytes, bytes]]) -> str | None:
        """The address of the client whose request came from `peer`; None if it cannot be determined.

        If the setting is not set, the address is unknown if the request has a header of a proxy, because `peer` may be
        that proxy; a proxy that sends no such header is taken for the client.
        """
        if peer is None:
            return None
        if self._unset:
            if not PROXY_HEADERS.isdisjoint([name for name, _ in headers]):
                return None
            return self.client_behind((peer.encode(),))
        return self.client_behind((*forwarded_for(headers), peer.encode()))

    def trusts(self, address: str) -> bool:
        """Whether an address is that of a trusted proxy."""
        return self._hop(address.encode())[1]

    def client_behind(self, lines: Sequence[bytes]) -> str | None:
        """The client's address in lists of hops, the nearest hop last; None if it cannot be determined.

        Several lines are one list (RFC 9110 section 5.3). The address is unknown if a hop before it is not an address,
        if all hops are trusted proxies, and behind more than MAX_HOPS proxies.
        """
        for hop in islice(_from_the_right(lines), MAX_HOPS):
            if len(hop) > MAX_HOP_BYTES:
                return None
            address, trusted = self._hop(hop)
            if not trusted:
                return address
        return None

    def _read(self, hop: bytes) -> tuple[str | None, bool]:
        """The address of a hop, and whether it is a trusted proxy."""
        address = parse_hop(hop.decode("latin-1"))
        if address is None:
            return None, False
        return str(address), any(address in network for network in self._networks)


def forwarded_for(headers: Iterable[tuple[bytes, bytes]]) -> tuple[bytes, ...]:
    """The lines of `X-Forwarded-For`, in order."""
    return tuple([value for name, value in headers if name == FORWARDED_FOR])


def parse_hop(hop: str) -> Address | None:
    """Parse an address with or without a port, IPv6 with or without brackets; None if it is not an address.

    An IPv4-mapped IPv6 address becomes the IPv4 address. An address with a zone is None: it is valid on one host only.
    """
    text = hop.strip(" \t")
    if text.startswith("["):
        text, bracket, port = text[1:].partition("]")
        if not bracket or ":" not in text or (port and not _is_port(port)):
            return None
    elif text.count(":") == 1:
        text, _, port = text.partition(":")
        if not _is_port(f":{port}"):
            return None
    if "%" in text or not text.isascii():
        return None
    try:
        address = ip_address(text)
    except ValueError:
        return None
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address


def _is_port(text: str) -> bool:
    digits = text[1:]
    return text.startswith(":") and digits.isascii() and digits.isdigit() and len(digits) <= 5


def _from_the_right(lines: Sequence[bytes]) -> Iterator[bytes]:
    for line in reversed(lines):
        rest, comma = line, b","
        while comma:
            rest, comma, hop = rest.rpartition(b",")
            yield hop


def unmapped_network(network: Network) -> Network:
    """The IPv4 network of an IPv4-mapped IPv6 network, as `parse_hop` unmaps addresses."""
    # The first address of a network with a prefix below 96 is not mapped.
    if isinstance(network, IPv6Network) and network.network_address.ipv4_mapped:
        return ip_network(f"{network.network_address.ipv4_mapped}/{network.prefixlen - 96}")
    return network

"""Addresses of public hosts: the only ones that the document of an app is fetched from.

The author of a URL chooses what this server connects to, so what only this server can reach is refused.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

Address = IPv4Address | IPv6Address
Resolve = Callable[[str, int], Awaitable[Sequence[Address]]]

MAX_LOOKUPS = (
    32  # at once in a process; each has a thread, which the resolver of the system may block for half a minute
)
# Of the addresses that Python calls global, those that lead to others: 6to4 with its relays, and IETF protocols with
# Teredo; and documentation.
_RESERVED = tuple(
    map(ip_network, ("192.88.99.0/24", "192.0.0.0/24", "2001::/23", "2002::/16", "2001:db8::/32", "3fff::/20"))
)
_GLOBAL_UNICAST = ip_network("2000::/3")
_NAT64 = ip_network("64:ff9b::/96")  # an IPv4 address behind a translator (RFC 6052)
_lookups = threading.Semaphore(MAX_LOOKUPS)


class TooManyLookups(Exception):
    """As many look-ups are under way as a process may have."""


def is_public(address: Address) -> bool:
    """Whether an address is global unicast, and leads to no address that is not."""
    if isinstance(address, IPv6Address):
        if address.scope_id is not None:
            return False
        if address in _NAT64:
            return is_public(IPv4Address(int(address) & 0xFFFF_FFFF))
        if address not in _GLOBAL_UNICAST:
            return False
    return address.is_global and not address.is_multicast and not any(address in each for each in _RESERVED)


async def resolve(host: str, port: int) -> Sequence[Address]:
    """The addresses of a host, at most as many as the resolver of the system finds; none if it finds none.

    Raises TooManyLookups.
    """
    if not _lookups.acquire(blocking=False):
        raise TooManyLookups
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Sequence[Address]] = loop.create_future()

    def give(addresses: Sequence[Address]) -> None:
        if not answer.done():
            answer.set_result(addresses)

    def look_up() -> None:
        try:
            addresses = _addresses(host, port)
        finally:
            _lookups.release()
        if not loop.is_closed():
            loop.call_soon_threadsafe(give, addresses)

    # A thread of its own, which a look-up that hangs may keep: other work waits for the threads of the loop.
    threading.Thread(target=look_up, name="documents", daemon=True).start()
    return await answer


def _addresses(host: str, port: int) -> Sequence[Address]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return tuple(dict.fromkeys(ip_address(sockaddr[0]) for *_, sockaddr in found))
    except (OSError, ValueError):  # UnicodeError, for a label that is too long, is a ValueError
        return ()

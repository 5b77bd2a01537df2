"""Rate limits: how many events a minute are allowed to each peer or owner."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from ipaddress import IPv4Network, IPv6Address, ip_address, ip_network

MAX_PARTIES = 20_000
_SECONDS = 60.0
_TOLERANCE = 1e-6  # seconds, so that a rounding error does not refuse the last event of a budget
_IPV6_PREFIX = 64  # the smallest network that a provider assigns to a customer (RFC 6177)
_SHARED = ""
# The networks of a peer, which share a budget while too many peers are counted.
_IPV4_NETWORKS, _IPV6_NETWORKS = (24, 16), (48, 32)


class BudgetSpent(Exception):
    """The budget of a party is spent; its next event is accepted after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the next one is accepted in {retry_after} s")
        self.retry_after = retry_after


def _shared(_: str) -> str:
    return _SHARED


class Budget:
    """A limit of `per_minute` events for each party, in a burst or spread out; 0 is no limit.

    At most `max_parties` are counted, in about 200 bytes each. A party whose budget is full again is evicted for a new
    one. While none can be evicted, a new party is counted as the party that `wider` makes of it, of which there are as
    many at most, and then as that of the next function; after the last one all share one budget. So a caller with very
    many addresses can neither make the counters grow nor reset one, and spends the budget of few others. `clock` is
    monotonic, in seconds.
    """

    def __init__(
        self,
        per_minute: int,
        *,
        max_parties: int = MAX_PARTIES,
        wider: Sequence[Callable[[str], str]] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._interval = _SECONDS / per_minute if per_minute else 0.0
        self._max_parties = max_parties
        self._clock = clock
        # The time at which each party's budget is full again (generic cell rate algorithm), least recently used first.
        self._full_at: OrderedDict[str, float] = OrderedDict()
        self._wider = [(each, OrderedDict[str, float]()) for each in (*wider, _shared)]

    def __len__(self) -> int:
        return len(self._full_at) + sum(len(counted) for _, counted in self._wider)

    def spend(self, party: str) -> int:
        """Count one event. 0 if it is within the budget, else the seconds, rounded up, to wait before the next."""
        if not self._interval:
            return 0
        now = self._clock()
        counted = self._full_at
        full_at = counted.get(party)
        if full_at is None:
            counted, party = self._place_of(party, now)
            full_at = counted.get(party, now)
        spent_at = max(full_at, now) + self._interval
        if (over := spent_at - now - _SECONDS) > _TOLERANCE:
            return math.ceil(over - _TOLERANCE)
        counted[party] = spent_at
        counted.move_to_end(party)
        return 0

    def refund(self, party: str) -> None:
        """Count one event less, which turned out not to be one. A party that shares a budget gets nothing back."""
        if party in self._full_at:
            self._full_at[party] -= self._interval

    def _place_of(self, party: str, now: float) -> tuple[OrderedDict[str, float], str]:
        """Where a party that is not counted yet is counted, and as which."""
        counted = self._full_at
        for wider, wider_counted in self._wider:
            if party in counted or self._has_room(counted, now):
                break
            counted, party = wider_counted, wider(party)
        return counted, party

    def _has_room(self, counted: OrderedDict[str, float], now: float) -> bool:
        while len(counted) >= self._max_parties:
            oldest, full_at = next(iter(counted.items()))
            if full_at > now:
                return False
            del counted[oldest]
        return True


def peer_of(address: str) -> str:
    """The party that an address belongs to: the address for IPv4, its /64 network for IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # the name of a Unix socket
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _IPV6_PREFIX), strict=False))


def _network(level: int) -> Callable[[str], str]:
    def network_of(peer: str) -> str:
        try:
            parsed = ip_network(peer)
        except ValueError:  # the name of a Unix socket
            return _SHARED
        widths = _IPV4_NETWORKS if isinstance(parsed, IPv4Network) else _IPV6_NETWORKS
        return str(parsed.supernet(new_prefix=widths[level])) if parsed.prefixlen > widths[level] else peer

    return network_of


# For peers: first the smaller network.
NETWORKS = (_network(0), _network(1))

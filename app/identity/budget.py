"""Rate limits: how many events a minute are allowed to each peer or owner."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

MAX_PARTIES = 20_000
_SECONDS = 60.0
_TOLERANCE = 1e-6  # seconds, so that a rounding error does not refuse the last event of a budget
_IPV6_PREFIX = 64  # the smallest network that a provider assigns to a customer (RFC 6177)
_SHARED = ""


class BudgetSpent(Exception):
    """The budget of a party is spent; its next event is accepted after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the next one is accepted in {retry_after} s")
        self.retry_after = retry_after


class Budget:
    """A limit of `per_minute` events for each party, in a burst or spread out; 0 is no limit.

    At most `max_parties` are counted, in about 200 bytes each. A party whose budget is full again is evicted for a new
    one. While none can be evicted, new parties share one budget: a caller with very many addresses can neither make the
    counters grow nor reset one. `clock` is monotonic, in seconds.
    """

    def __init__(
        self, per_minute: int, *, max_parties: int = MAX_PARTIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = _SECONDS / per_minute if per_minute else 0.0
        self._max_parties = max_parties
        self._clock = clock
        # The time at which each party's budget is full again (generic cell rate algorithm), least recently used first.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, party: str) -> int:
        """Count one event. 0 if it is within the budget, else the seconds, rounded up, to wait before the next."""
        if not self._interval:
            return 0
        now = self._clock()
        full_at = self._full_at.get(party)
        if full_at is None:
            party = self._evict_for(party, now)
            full_at = self._full_at.get(party, now)
        spent_at = max(full_at, now) + self._interval
        if (over := spent_at - now - _SECONDS) > _TOLERANCE:
            return math.ceil(over - _TOLERANCE)
        self._full_at[party] = spent_at
        self._full_at.move_to_end(party)
        return 0

    def _evict_for(self, party: str, now: float) -> str:
        """Make room for a party. The key to count it by: its own, or the shared one while there is no room."""
        while len(self._full_at) >= self._max_parties:
            oldest, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                return _SHARED
            del self._full_at[oldest]
        return party


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

"""Budgets: how often something may happen in a minute, for each of many peers or owners."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address, ip_network

MAX_PARTIES = 20_000
_SECONDS = 60.0
_TOLERANCE = 1e-6  # seconds, so that the last event of a budget is not refused for the error of a sum
_IPV6_PREFIX = 64  # the least that a provider gives to one customer (RFC 6177)
_SHARED = ""


class BudgetSpent(Exception):
    """The budget of a party is spent; its next event is accepted after `retry_after` seconds."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"the next one is accepted in {retry_after} s")
        self.retry_after = retry_after


class Budget:
    """So many events a minute for each party, at once or spread out; 0 is without a limit.

    At most `max_parties` are counted, in about 200 bytes each. A party that has all of its budget again is discarded
    for a new one. While no party may be discarded, new ones share one budget: a caller with very many addresses can
    neither make the counters grow nor reset one. `clock` is monotonic, in seconds.
    """

    def __init__(
        self, per_minute: int, *, max_parties: int = MAX_PARTIES, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._interval = _SECONDS / per_minute if per_minute else 0.0
        self._max_parties = max_parties
        self._clock = clock
        # By party, when it has all of its budget again (the generic cell rate algorithm); the least recent first.
        self._full_at: OrderedDict[str, float] = OrderedDict()

    def __len__(self) -> int:
        return len(self._full_at)

    def spend(self, party: str) -> int:
        """Count one event. 0 if it is within the budget, else the whole seconds after which the next one is."""
        if not self._interval:
            return 0
        now = self._clock()
        full_at = self._full_at.get(party)
        if full_at is None:
            party = self._place_for(party, now)
            full_at = self._full_at.get(party, now)
        spent_at = max(full_at, now) + self._interval
        if (over := spent_at - now - _SECONDS) > _TOLERANCE:
            return math.ceil(over - _TOLERANCE)
        self._full_at[party] = spent_at
        self._full_at.move_to_end(party)
        return 0

    def _place_for(self, party: str, now: float) -> str:
        while len(self._full_at) >= self._max_parties:
            oldest, full_at = next(iter(self._full_at.items()))
            if full_at > now:
                return _SHARED
            del self._full_at[oldest]
        return party


def peer_of(address: str) -> str:
    """The party that an address belongs to: itself for IPv4, its /64 network for IPv6."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:  # not an address, as the name of a UNIX socket
        return address
    if not isinstance(parsed, IPv6Address):
        return str(parsed)
    if parsed.ipv4_mapped:
        return str(parsed.ipv4_mapped)
    return str(ip_network((parsed, _IPV6_PREFIX), strict=False))

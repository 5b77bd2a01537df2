"""The queue of the decision log: a bounded share for each class of decisions.

Equal denials of callers without valid credentials are one entry with a count for each second, so that a flood of them
neither fills their share nor the disk. So are equal refusals of tokens that services ask about over AuthZEN: the sender
of bad ones does not take the room of the others who call that service.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import dataclass
from operator import itemgetter

from app import logs
from app.audit.decision_class import DecisionClass, class_of
from app.audit.drops import Loss
from app.audit.record import Unverified, size_of
from app.identity.principal import Principal
from app.policy.engine.decision import Decision

_BYTES_OF_ENTRY = 1_500  # of names and grants
_SHORT_NAMES = 100  # characters of a resource and an action, which need no room beside their entry
_SECOND = 1_000_000_000  # nanoseconds
# Time and latency in nanoseconds, request id, door, resource, action, principal, outcome, number of equal decisions.
QueuedDecision = tuple[int, int, str, str, str, str, Principal | None, Decision | Unverified, int]
Origin = tuple[str, str, str, Principal | None, Decision | Unverified]  # door, resource, action, principal, outcome
# What makes denials equal: a decision of the policy, or a refusal of credentials. Objects whose id is in it are kept.
_DecisionKey = tuple[str, str, str, str, int, int, int, tuple[str, ...]]
_RefusalKey = tuple[str, str, str, str, str]
# Of a batch, for each class while all have decisions; what one leaves goes to the others, in this order.
_EIGHTHS: Mapping[DecisionClass, int] = {"known": 4, "authzen": 3, "anonymous": 1}


class Share:
    """The queued decisions of a class. `reserved` of its entries are promised to requests that are being decided, and
    `merging` are those of denials that are not queued yet. Long names and many grants take `extra` entries, about."""

    __slots__ = ("_bytes", "_counted", "capacity", "merging", "name", "reserved", "waiting")

    def __init__(self, name: DecisionClass, capacity: int) -> None:
        self.name = name
        self.capacity = capacity
        self._bytes = 0
        self._counted: Principal | None = None
        self.merging = 0
        self.reserved = 0
        self.waiting: deque[QueuedDecision] = deque()

    @property
    def extra(self) -> int:
        """The entries for long names and grants."""
        return self._bytes // _BYTES_OF_ENTRY

    def fits(self, count: int) -> bool:
        """Whether so many more decisions have room."""
        return len(self.waiting) + self.extra + self.merging + self.reserved + count <= self.capacity

    def count(self, names: int, principal: Principal | None) -> None:
        """Count the names of a decision that is added, in characters, and its principal unless it is the one before."""
        self._bytes += max(names - _SHORT_NAMES, 0)
        if principal is not self._counted and principal is not None:
            self._counted = principal
            self._bytes += size_of(principal)

    def take(self, count: int) -> Iterator[QueuedDecision]:
        """Remove decisions, with their part of the extra entries."""
        if count:
            self._bytes -= self._bytes * count // len(self.waiting)
            self._counted = None
        return (self.waiting.popleft() for _ in range(count))


@dataclass(slots=True)
class _MergedDenial:
    at: int
    latency: int
    request_id: str
    origin: Origin
    times: int = 1


class MergedDenials:
    """The denials of the current second, which are queued when it is over. They count as entries of the share, of which
    they are at most `most`."""

    __slots__ = ("_entries", "_last", "_most", "_second", "_share")

    def __init__(self, share: Share, most: int) -> None:
        self._share = share
        self._most = most
        self._second = 0
        self._last: _MergedDenial | None = None
        self._entries: dict[_DecisionKey | _RefusalKey, _MergedDenial] = {}

    def add(self, at: int, latency: int, origin: Origin) -> bool:
        """Count a denial if it equals another one of its second, else add it; return False if the share is full."""
        second = at // _SECOND
        if second != self._second:
            self.close()
            self._second = second
        elif (last := self._last) is not None and last.origin == origin:
            # The usual case in a flood, and faster, since equal objects are mostly the same.
            last.times += 1
            return True
        door, resource, action, principal, outcome = origin
        key: _DecisionKey | _RefusalKey
        if isinstance(outcome, Decision):
            # By id, since the hash of a member of an enumeration is slow, and that of a rule too.
            reason, rule = id(outcome.reason), id(outcome.rule)
            key = (door, resource, action, outcome.revision, id(principal), reason, rule, outcome.missing)
        else:
            key = (door, resource, action, outcome.revision, outcome.reason)
        entry = self._entries.get(key)
        if entry is not None:
            entry.times += 1
        else:
            share, number = self._share, len(self._entries)
            if number >= self._most or len(share.waiting) + number >= share.capacity:
                return False
            entry = self._entries[key] = _MergedDenial(at, latency, logs.request_id.get(), origin)
            share.merging += 1
        self._last = entry
        return True

    def close_before(self, now: int) -> None:
        """Queue the denials of a second that is over."""
        if now // _SECOND != self._second:
            self.close()

    def close(self) -> None:
        """Queue all denials."""
        for entry in self._entries.values():
            self._share.waiting.append((entry.at, entry.latency, entry.request_id, *entry.origin, entry.times))
        self._entries.clear()
        self._share.merging = 0
        self._last = None


class DecisionQueue:
    """The shares by class. A batch takes decisions from all of them, by weight."""

    def __init__(self, capacity: int) -> None:
        self.known = Share("known", capacity)
        self.authzen = Share("authzen", max(capacity // 2, 1))
        self.anonymous = Share("anonymous", max(capacity // 4, 1))
        self.shares = (self.known, self.authzen, self.anonymous)
        self.merged = MergedDenials(self.anonymous, self.anonymous.capacity)
        # The sender of such a token may choose the action, too, and so make the refusals differ.
        self.refused_tokens = MergedDenials(self.authzen, max(self.authzen.capacity // 8, 1))
        self.held: Set[DecisionClass] = frozenset()  # classes of which no decision is taken

    def __len__(self) -> int:
        """The number of decisions that may be taken."""
        return sum(map(self._takeable, self.shares))

    def _takeable(self, share: Share) -> int:
        return 0 if share.name in self.held else len(share.waiting)

    def queued(self, share: Share) -> int:
        """The number of entries of a share."""
        return len(share.waiting) + share.merging

    def close_before(self, now: int) -> None:
        """Queue the merged denials of a second that is over."""
        self.merged.close_before(now)
        self.refused_tokens.close_before(now)

    def close(self) -> None:
        """Queue all merged denials."""
        self.merged.close()
        self.refused_tokens.close()

    def take(self, limit: int) -> deque[QueuedDecision]:
        """Remove at most `limit` decisions, in the order of their times."""
        counts = [min(self._takeable(share), limit * _EIGHTHS[share.name] // 8) for share in self.shares]
        rest = limit - sum(counts)
        for index, share in enumerate(self.shares):
            more = min(rest, self._takeable(share) - counts[index])
            counts[index] += more
            rest -= more
        taken = [queued for share, count in zip(self.shares, counts, strict=True) for queued in share.take(count)]
        taken.sort(key=itemgetter(0))
        return deque(taken)

    def clear(self) -> Iterable[QueuedDecision]:
        """Remove all decisions."""
        self.close()
        return [queued for share in self.shares for queued in share.take(len(share.waiting))]


def losses_of(decisions: Iterable[QueuedDecision]) -> Iterator[Loss]:
    """Queued decisions, as lost ones."""
    for at, _, _, door, _, _, principal, _, times in decisions:
        yield Loss(class_of(door, principal.method if principal else None), at // 1000, times)

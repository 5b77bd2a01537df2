"""Decisions that were deleted because the log was too large: their number, class and times.

The records of what was deleted are in the database, in the transactions that deleted it.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Set
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import structlog

from app.audit.batch import Batch
from app.audit.decision_class import DECISION_CLASSES, DecisionClass
from app.audit.log import BatchNotStored
from app.audit.periodic_task import pause
from app.audit.size_limit import SizeLimit

EVERY_SECONDS = 1.0  # in which a flood writes some megabytes
IDLE_SECONDS = 30.0  # while this process writes nothing: others look after what they write
_PAUSE_SECONDS = 0.02  # between transactions, so that writers have the database at least half of the time
_MAX_FREED = 64  # the part of the limit that is free at most until it is reclaimed
_IDLE_RATIO = 4  # of the time that space is not reclaimed, and is
_TARGET = (7, 8)  # of the limit, at which deletion begins and ends
_FULL = (15, 16)  # of a share: the rest is for pages that are not full
_RETRY_SECONDS = 10.0
_LOGGED_EVERY = 10.0
_log = structlog.stdlib.get_logger("decisions")


@dataclass(frozen=True, slots=True)
class Deletion:
    """Decisions of a class that were deleted, the oldest first: all of the class up to the id `last_id`.

    `first_at` and `last_at` are the times of these decisions, `deleted_at` is when they were deleted by the clock of
    the database, all in microseconds since 1970. `count` is the number of decisions, and `freed_bytes` about what they
    took, which is not in a record.
    """

    decision_class: DecisionClass
    last_id: int
    first_at: int
    last_at: int
    count: int
    deleted_at: int
    freed_bytes: int = 0


class LimitedStore(Protocol):
    """The storage of decisions with a limit of size. Each method raises BatchNotStored."""

    async def sizes(self) -> Mapping[DecisionClass, int]:
        """The bytes that the decisions of each class take, about."""

    async def delete_excess(self, limit: SizeLimit) -> Deletion | None:
        """Delete some of the oldest decisions of the class that exceeds its limit by most, in one transaction.

        Returns None if no class exceeds its limit.
        """

    @property
    def reuses_space(self) -> bool:
        """Whether new decisions take the space of deleted ones before it is reclaimed."""

    @property
    def reclaim_seconds(self) -> float:
        """How often to reclaim space while decisions are deleted, or less often if that takes long."""

    async def reclaim(self) -> None:
        """Make the space of deleted decisions available to others."""


class Numbers(NamedTuple):
    """Of a class: the bytes of its decisions, those that it may have, and the decisions that were deleted for it."""

    byte_count: int
    max_bytes: int
    deleted: int


@dataclass(slots=True)
class LogSize:
    """The size of the decision log as this process saw it last, and what this process deleted since it started.

    `last_deletion` is None if it deleted nothing. While the limit cannot be enforced, `is_limited` is false. `occupied`
    are the bytes of deleted decisions whose space is not available yet, `steps` those of a large recent batch, and
    `unread` those that this process has written since it last began to read the size.
    """

    limit: SizeLimit
    sizes: Mapping[DecisionClass, int] = field(default_factory=lambda: dict.fromkeys(DECISION_CLASSES, 0))
    deleted: Counter[DecisionClass] = field(default_factory=Counter)
    last_deletion: Deletion | None = None
    is_limited: bool = True
    occupied: Counter[DecisionClass] = field(default_factory=Counter)
    steps: Counter[DecisionClass] = field(default_factory=Counter)
    unread: Counter[DecisionClass] = field(default_factory=Counter)

    @property
    def numbers(self) -> Mapping[DecisionClass, Numbers]:
        """The numbers of each class; without a limit of the log, that of a class is 0."""
        return {
            name: Numbers(size, self.limit.of_class(name, self.sizes), self.deleted[name])
            for name, size in self.sizes.items()
        }

    @property
    def target(self) -> SizeLimit:
        """The limit to which decisions are deleted."""
        return SizeLimit(self.limit.max_bytes * _TARGET[0] // _TARGET[1])

    @property
    def exceeding(self) -> frozenset[DecisionClass]:
        """The classes of which another batch may exceed the share; never known callers."""
        if not self.limit.max_bytes or not self.is_limited:
            return frozenset()
        sizes, occupied = self.sizes, self.occupied
        return frozenset(name for name in sizes if name != "known" and sizes[name] + occupied[name] > self._room(name))

    def _room(self, name: DecisionClass) -> int:
        """The bytes up to which another batch of a class is written: at least those that deletion leaves."""
        full = self.limit.of_class(name, self.sizes) * _FULL[0] // _FULL[1]
        return max(full - self.steps[name], self.target.of_class(name, self.sizes))

    def add(self, byte_counts: Mapping[DecisionClass, int]) -> None:
        """Count what this process has written since the size was read."""
        self.sizes = {name: size + byte_counts.get(name, 0) for name, size in self.sizes.items()}
        for name, byte_count in byte_counts.items():
            self.steps[name] = max(byte_count, self.steps[name] * 7 // 8)
        self.unread.update(byte_counts)

    async def read(self, store: LimitedStore) -> None:
        """Read the size. What is written meanwhile counts too, even if the database had it already."""
        self.unread.clear()
        sizes = await store.sizes()
        self.sizes = {name: byte_count + self.unread[name] for name, byte_count in sizes.items()}

    def note(self, deletion: Deletion) -> None:
        """Count deleted decisions."""
        self.deleted[deletion.decision_class] += deletion.count
        self.last_deletion = deletion


class _DeletionReport:
    """Logs deletions: the first at once, and those that follow it every few seconds together."""

    def __init__(self) -> None:
        self._counts: Counter[DecisionClass] = Counter()
        self._last: Deletion | None = None
        self._due = -math.inf

    def add(self, deletion: Deletion) -> None:
        self._counts[deletion.decision_class] += deletion.count
        self._last = deletion
        self.log_if_due()

    def log_if_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if now >= self._due and self.close():
            self._due = now + _LOGGED_EVERY

    def close(self) -> bool:
        """Log what is not logged yet; return whether there was anything."""
        if self._last is None:
            return False
        _log.warning(
            "decisions were deleted, since the log was too large",
            decisions=self._counts.total(),
            classes=dict(self._counts),
            last_id=self._last.last_id,
        )
        self._last = None
        self._counts.clear()
        return True


def count_written(
    write: Callable[[Batch], Awaitable[Mapping[DecisionClass, int]]],
    size: LogSize,
    hold: Callable[[Set[DecisionClass]], None],
) -> Callable[[Batch], Awaitable[None]]:
    """Return `write` with its bytes added to `size`, which calls `hold` with the classes that exceed their share then.

    In the second until the size is read again a flood writes some megabytes.
    """

    async def write_and_count(batch: Batch) -> None:
        size.add(await write(batch))
        hold(size.exceeding)

    return write_and_count


async def run_size_limit(
    size: LogSize,
    stop: asyncio.Event,
    store: LimitedStore,
    hold: Callable[[Set[DecisionClass]], None],
    *,
    every_seconds: float = EVERY_SECONDS,
) -> None:
    """Read the size of the log, and delete what exceeds its limit, until `stop`. Failures are logged and retried.

    Deletion begins a little below the limit. If the next batch of a class may exceed its share nevertheless, `hold` is
    called with it, so that no more of it is written until the deletion has caught up, and the space of what was deleted
    is available. Known callers are never held. While this process writes nothing, it reads the size rarely.
    """
    clock = asyncio.get_running_loop().time
    report, freed = _DeletionReport(), 0
    target = size.target
    read_at = reclaim_due = -math.inf
    while not stop.is_set():
        wait = every_seconds
        try:
            if size.unread or freed or target.largest_excess(size.sizes) or clock() - read_at >= IDLE_SECONDS:
                read_at = clock()
                await size.read(store)
                size.is_limited = True
                hold(size.exceeding)
                if target.largest_excess(size.sizes) and (deletion := await store.delete_excess(target)) is not None:
                    freed += max(deletion.freed_bytes, 1)
                    if not store.reuses_space:
                        size.occupied[deletion.decision_class] += deletion.freed_bytes
                    size.note(deletion)
                    report.add(deletion)
                    wait = _PAUSE_SECONDS
            if freed and (clock() >= reclaim_due or freed * _MAX_FREED > size.limit.max_bytes):
                began = clock()
                await store.reclaim()
                freed = 0
                size.occupied.clear()
                hold(size.exceeding)
                reclaim_due = clock() + max(store.reclaim_seconds, _IDLE_RATIO * (clock() - began))
        except BatchNotStored as error:
            _log.error("the size of the decision log is not limited now", error=str(error))
            size.is_limited, read_at = False, -math.inf
            hold(size.exceeding)
            wait = max(every_seconds, _RETRY_SECONDS)
        report.log_if_due()
        await pause(stop, wait)
    report.close()

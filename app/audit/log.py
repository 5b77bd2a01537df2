"""The decision log: requests append decisions to a bounded queue, and a background task writes them in batches.

An append neither fails nor waits: with a full queue, decisions are dropped and counted. A failed write is retried,
counted and logged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import structlog

from app import logs
from app.audit.batch import Batch
from app.audit.periodic_task import PeriodicTask
from app.audit.record import DecisionKey, Unverified, decision_key, token_id_of
from app.audit.shadowing import Shadowing
from app.audit.tally import Outcomes
from app.identity.principal import Principal
from app.policy.engine.decision import Decision

Writer = Callable[[Batch], Awaitable[None]]
CAPACITY = 20_000  # decisions
BATCH_SIZE = 2_000  # a short transaction, since SQLite has one writer at a time
_SLICE_SIZE = 200  # decisions that are moved to the batch before the event loop runs other tasks
MAX_CACHED_KEYS = 1_000  # each refers to an outcome and a principal
EVERY_SECONDS = 0.5
GIVE_UP_SECONDS = 60.0
ROOM_SECONDS = 1.0
_STOP_SECONDS = 5.0
_MAX_RETRY_SECONDS = 3.0  # so that the queue is written soon after the database is back
_CacheKey = tuple[int, int, str, str, str]  # the ids of the principal and the outcome; door, resource and action
# Time and latency in nanoseconds, request id, door, resource, action, principal and outcome.
_QueuedDecision = tuple[int, int, str, str, str, str, Principal | None, Decision | Unverified]
_log = structlog.stdlib.get_logger("decisions")


class BatchNotStored(Exception):
    """A batch was not stored. The message is for operators, and shows no value of a decision."""


@dataclass(frozen=True, slots=True)
class Health:
    """Counts of the decisions of this process since it started.

    `dropped` were lost: the queue was full, or the writer failed for too long. `failures` counts failed writes,
    `sampled_out` the allows that sampling omitted. `error` is the error of the last write; None if it succeeded.
    """

    queued: int
    capacity: int
    written: int
    dropped: int
    failures: int
    sampled_out: int
    error: str | None


class DecisionLog:
    """Collects the decisions of all doors. An asynchronous context manager: on exit the queue is written.

    `write` stores all of a batch, or raises BatchNotStored and stores nothing. `sample` is the share of allows that are
    logged; denials all are. `shadowing` receives every decision, and `outcomes` counts them. A batch that cannot be
    written for `give_up_seconds` is dropped, so that it does not block later ones forever.
    """

    def __init__(
        self,
        write: Writer,
        *,
        sample: float = 1.0,
        shadowing: Shadowing | None = None,
        outcomes: Outcomes | None = None,
        capacity: int = CAPACITY,
        every_seconds: float = EVERY_SECONDS,
        give_up_seconds: float = GIVE_UP_SECONDS,
    ) -> None:
        self._write = write
        self._sample = sample
        self._shadowing = shadowing
        self.outcomes = outcomes or Outcomes()
        self._capacity = capacity
        self._every_seconds = every_seconds
        self._give_up_seconds = give_up_seconds
        self._waiting: deque[_QueuedDecision] = deque()
        self._batch = Batch()
        # Identities are compared, since that is fast. Token ids and indexes of keys in the current batch:
        self._indexes: dict[_CacheKey, tuple[str | None, int]] = {}
        # Keys across batches, with the objects they come from, so that no other object gets the same identity.
        self._keys: dict[_CacheKey, tuple[DecisionKey, Principal | None, Decision | Unverified]] = {}
        self._has_room = asyncio.Event()
        self._task = PeriodicTask("decision log", self._run, every_seconds=every_seconds)
        self._written = self._dropped = self._failures = self._sampled_out = 0
        self._reported_drops = 0
        self._error: str | None = None

    def note(
        self,
        door: str,
        resource: str,
        action: str,
        principal: Principal | None,
        outcome: Decision | Unverified,
        *,
        started: int,
    ) -> None:
        """Append an outcome to the queue; never raises, never waits.

        `door` is `app`, `authzen`, or the name of a gateway. `started` is the `time.perf_counter_ns()` at which the
        door began. The request id is that of the current request.
        """
        latency = time.perf_counter_ns() - started
        try:
            self.outcomes.known[door][resource][outcome.reason].append(latency)
        except KeyError:
            self.outcomes.first(door, resource, outcome).append(latency)
        if self._shadowing is not None:
            self._shadowing.note(resource, action, principal, outcome)
        if self._sample < 1.0 and outcome and random.random() >= self._sample:  # noqa: S311  # a sample, no secret
            self._sampled_out += 1
            return
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            return
        queued = (time.time_ns(), latency, logs.request_id.get(), door, resource, action, principal, outcome)
        self._waiting.append(queued)

    @property
    def health(self) -> Health:
        """The current counts."""
        return Health(
            queued=len(self._waiting) + len(self._batch),
            capacity=self._capacity,
            written=self._written,
            dropped=self._dropped,
            failures=self._failures,
            sampled_out=self._sampled_out,
            error=self._error,
        )

    async def wait_for_room(self) -> None:
        """Wait until the queue is at most half full, for at most `ROOM_SECONDS`; not while the writer fails.

        For requests that log very many decisions, which would displace those of others.
        """
        if len(self._waiting) * 2 > self._capacity and self._error is None:
            self._has_room.clear()
            with suppress(TimeoutError):  # then the decisions are logged nevertheless
                await asyncio.wait_for(self._has_room.wait(), ROOM_SECONDS)

    async def __aenter__(self) -> Self:
        self._task.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._task.stop()
                await self._drain(retry=False)
        if unwritten := self.health.queued:
            self._dropped += unwritten
            self._waiting.clear()
            self._new_batch()
            _log.error("decisions were lost at shutdown", decisions=unwritten)

    async def _run(self) -> None:
        await self._drain(retry=True)
        if self._dropped > self._reported_drops:
            _log.error("decisions were dropped", decisions=self._dropped - self._reported_drops, error=self._error)
            self._reported_drops = self._dropped

    async def _drain(self, *, retry: bool) -> None:
        """Write the whole queue; with `retry`, retry failed writes with growing pauses, until the task is stopped."""
        while self._batch or self._waiting:
            if not self._batch:
                remaining = min(len(self._waiting), BATCH_SIZE)
                while remaining > 0:
                    self._fill_batch(min(remaining, _SLICE_SIZE))
                    if len(self._waiting) * 2 <= self._capacity:
                        self._has_room.set()
                    remaining -= _SLICE_SIZE
                    await asyncio.sleep(0)
            if self._batch and not await self._write_batch(retry=retry):
                return

    def _new_batch(self) -> None:
        self._batch = Batch()
        self._indexes.clear()
        if len(self._keys) >= MAX_CACHED_KEYS:
            self._keys.clear()  # only together with the indexes, which rely on the identities of its objects

    def _fill_batch(self, count: int) -> None:
        """Move decisions from the queue to the batch."""
        batch, indexes, waiting = self._batch, self._indexes, self._waiting
        for _ in range(count):
            at, latency, request_id, door, resource, action, principal, outcome = waiting.popleft()
            cache_key = (id(principal), id(outcome), door, resource, action)
            try:
                found = indexes.get(cache_key)
                if found is None:
                    index = batch.key_index(self._key(cache_key, principal, outcome))
                    found = indexes[cache_key] = (token_id_of(principal), index)
                batch.add(at, latency, request_id, *found)
            except Exception:  # noqa: BLE001  # a defect, which must not end the log
                self._dropped += 1
                _log.exception("a decision cannot be recorded")

    def _key(self, cache_key: _CacheKey, principal: Principal | None, outcome: Decision | Unverified) -> DecisionKey:
        cached = self._keys.get(cache_key)
        if cached is None:
            cached = (decision_key(*cache_key[2:], principal, outcome), principal, outcome)
            self._keys[cache_key] = cached
        return cached[0]

    async def _write_batch(self, *, retry: bool) -> bool:
        """Write the batch, or drop it after too many attempts; return False if it stays."""
        first_failed: float | None = None
        pause = self._every_seconds
        while True:
            try:
                await self._write(self._batch)
            except Exception as error:  # noqa: BLE001  # no error may end the log
                self._note_failure(error)
            else:
                self._written += len(self._batch)
                self._new_batch()
                if self._error is not None:
                    _log.info("decisions are written again", failures=self._failures)
                    self._error = None
                return True
            now = time.monotonic()
            first_failed = now if first_failed is None else first_failed
            if now - first_failed >= self._give_up_seconds:
                self._dropped += len(self._batch)
                self._new_batch()
                return True
            if not retry:
                return False
            await self._task.pause(pause)
            if self._task.is_stopping:
                return False
            pause = min(pause * 2, _MAX_RETRY_SECONDS)

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        self._has_room.set()  # nothing may become free: end the waits
        is_expected = isinstance(error, BatchNotStored)
        message = str(error) if is_expected else type(error).__name__
        if message != self._error:
            _log.error("decisions cannot be written; trying again", error=message, exc_info=not is_expected and error)
        self._error = message

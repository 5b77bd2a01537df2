"""The decision log: requests append decisions to a bounded queue, and a background task writes them in batches.

An append neither fails nor waits: with a full share of the queue, decisions are dropped, and what was lost is recorded.
A failed write is retried, counted and logged.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence, Set
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from time import perf_counter_ns, time_ns
from types import TracebackType
from typing import Self

import structlog

from app import logs
from app.audit.admission import Admission, Throttle
from app.audit.app_decisions import AppDecisions
from app.audit.batch import Batch
from app.audit.batch_builder import BatchBuilder
from app.audit.decision_class import AUTHZEN_DOOR, DecisionClass
from app.audit.decision_queue import DecisionQueue, losses_of
from app.audit.drops import Drops, DropWindow, Loss
from app.audit.give_way import GiveWay, yield_to_loop
from app.audit.periodic_task import PeriodicTask
from app.audit.record import MAX_TEXT, Unverified
from app.audit.sanitize import clean
from app.audit.shadowing import Shadowing
from app.audit.tally import Outcomes
from app.identity.principal import Principal
from app.policy.engine.decision import Decision

Writer = Callable[[Batch], Awaitable[object]]
DropWriter = Callable[[Sequence[DropWindow]], Awaitable[None]]
CAPACITY = 20_000  # decisions of known callers; half as many of AuthZEN requests, a quarter of callers without identity
BATCH_SIZE = 2_000  # a short transaction, since SQLite has one writer at a time
_SLICE_SIZE = 50  # decisions that are moved to the batch before the event loop runs other tasks: 0.2 milliseconds
EVERY_SECONDS = 0.5
GIVE_UP_SECONDS = 60.0
_STOP_SECONDS = 5.0
_MAX_RETRY_SECONDS = 3.0  # so that the queue is written soon after the database is back
_request_id = logs.request_id.get
_log = structlog.stdlib.get_logger("decisions")


class BatchNotStored(Exception):
    """A batch was not stored. The message is for operators, and shows no value of a decision."""


@dataclass(frozen=True, slots=True)
class ClassHealth:
    """Of a class of decisions: the entries in the queue, those that have room, and the decisions that were lost."""

    queued: int
    capacity: int
    dropped: int


@dataclass(frozen=True, slots=True)
class Health:
    """Counts of the decisions of this process since it started.

    `dropped` were lost: the queue was full, or the writer failed for too long; `last_drop_at` is when, in microseconds
    since 1970. `failures` counts failed writes, `sampled_out` the allows that sampling omitted. `error` is the error of
    the last write; None if it succeeded.
    """

    queued: int
    capacity: int
    written: int
    dropped: int
    failures: int
    sampled_out: int
    error: str | None
    last_drop_at: int | None
    classes: Mapping[DecisionClass, ClassHealth]


class DecisionLog:
    """Collects the decisions of all doors. An asynchronous context manager: on exit the queue is written.

    `write` stores all of a batch, or raises BatchNotStored and stores nothing; `write_drops` stores what was lost, or
    replaces it by id, and raises likewise. `sample` is the share of allows that are
    logged; denials all are. `shadowing` receives every decision, and `outcomes` counts them. A batch that cannot be
    written for `give_up_seconds` is dropped, so that it does not block later ones forever. `between_slices` is awaited
    after some decisions, so that requests are served meanwhile.
    """

    def __init__(
        self,
        write: Writer,
        *,
        write_drops: DropWriter | None = None,
        sample: float = 1.0,
        shadowing: Shadowing | None = None,
        outcomes: Outcomes | None = None,
        capacity: int = CAPACITY,
        every_seconds: float = EVERY_SECONDS,
        give_up_seconds: float = GIVE_UP_SECONDS,
        between_slices: GiveWay = yield_to_loop,
    ) -> None:
        self._write = write
        self._between_slices = between_slices
        self._write_drops = write_drops
        self._sample = sample
        self._shadowing = shadowing
        self.outcomes = outcomes or Outcomes()
        self.apps = AppDecisions()
        self._every_seconds = every_seconds
        self._give_up_seconds = give_up_seconds
        self._queue = DecisionQueue(capacity)
        self._admission = Admission(self._queue.authzen)
        self.throttle = Throttle(self._queue.known)
        self._drops = Drops()
        self._builder = BatchBuilder()
        self._task = PeriodicTask("decision log", self._run, every_seconds=every_seconds)
        self._written = self._failures = self._sampled_out = 0
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
        latency = perf_counter_ns() - started
        try:
            self.outcomes.known[door][resource][outcome.reason].append(latency)
        except KeyError:
            self.outcomes.first(door, resource, outcome).append(latency)
        if (shadowing := self._shadowing) is not None and shadowing.deployed is not None:
            shadowing.note(resource, action, principal, outcome)
        if principal is not None and principal.client_id is not None:
            self.apps.note(principal.client_id, allowed=bool(outcome))
        if self._sample < 1.0 and outcome and random.random() >= self._sample:  # noqa: S311  # a sample, no secret
            self._sampled_out += 1
            return
        at = time_ns()
        if door == AUTHZEN_DOOR:
            share = self._queue.authzen
            # These can be as long as a body, while many decisions wait. Other doors have routes and tokens.
            if len(resource) + len(action) > MAX_TEXT:
                resource, action = clean(resource, MAX_TEXT), clean(action, MAX_TEXT)
            share.count(len(resource) + len(action), principal)
        elif principal is None or principal.method == "anonymous":
            share = self._queue.anonymous
            if not outcome:
                if not self._queue.merged.add(at, latency, (door, resource, action, principal, outcome)):
                    self._drops.add((Loss(share.name, at // 1000),))
                return
        else:
            share = self._queue.known
        if len(share.waiting) < share.capacity:
            share.waiting.append((at, latency, _request_id(), door, resource, action, principal, outcome, 1))
        else:
            self._drops.add((Loss(share.name, at // 1000),))

    def note_refused_token(self, action: str, outcome: Unverified, *, started: int) -> None:
        """Append the refusal of a token that a service asked about over AuthZEN; never raises, never waits.

        Equal ones of a second are one record with their number.
        """
        latency, at = perf_counter_ns() - started, time_ns()
        action = clean(action, MAX_TEXT)
        self.outcomes.first(AUTHZEN_DOOR, "", outcome).append(latency)
        if not self._queue.refused_tokens.add(at, latency, (AUTHZEN_DOOR, "", action, None, outcome)):
            self._drops.add((Loss(self._queue.authzen.name, at // 1000),))

    @property
    def health(self) -> Health:
        """The current counts."""
        queue, drops = self._queue, self._drops
        return Health(
            queued=sum(map(queue.queued, queue.shares)) + len(self._builder),
            capacity=sum(share.capacity for share in queue.shares),
            written=self._written,
            dropped=drops.counts.total(),
            failures=self._failures,
            sampled_out=self._sampled_out,
            error=self._error,
            last_drop_at=drops.last_at,
            classes={
                share.name: ClassHealth(queue.queued(share), share.capacity, drops.counts[share.name])
                for share in queue.shares
            },
        )

    @property
    def is_behind(self) -> bool:
        """Whether a share of the queue is a quarter full."""
        return any(len(share.waiting) > share.capacity // 4 for share in self._queue.shares)

    async def give_way(self) -> None:
        """Let requests be served between slices of work of the log.

        While it is behind, writing decisions takes precedence over the requests that make more of them.
        """
        await (yield_to_loop() if self.is_behind else self._between_slices())

    @property
    def has_room(self) -> bool:
        """Whether a decision of an AuthZEN request has room. Holds until the event loop runs another task."""
        return self._admission.has_room

    @asynccontextmanager
    async def room_for(self, count: int) -> AsyncIterator[None]:
        """Keep room for at most `count` decisions of an AuthZEN request while the block runs.

        Waits for at most a second. Raises LogFull, except while the writer fails.
        """
        async with self._admission.room_for(count):
            yield

    def hold(self, classes: Set[DecisionClass]) -> None:
        """Write no decision of these classes until the next call: they wait in their shares of the queue.

        At the end all are written.
        """
        if not self._task.is_stopping:
            self._queue.held = classes

    async def __aenter__(self) -> Self:
        self._task.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._task.stop()
                self._queue.close()
                self._queue.held = frozenset()
                await self._drain(retry=False)
                self._discard_queue()
                await self._store_drops()
        self._discard_queue()
        self._drops.close()

    async def _run(self) -> None:
        self._queue.close_before(time_ns())
        await self._drain(retry=True)
        await self._store_drops()

    async def _drain(self, *, retry: bool) -> None:
        """Write the whole queue.

        With `retry`, retry failed writes with growing pauses, until the task is stopped; a part of a batch that is
        queued meanwhile is left to the next run.
        """
        builder = self._builder
        while builder or self._queue:
            if not builder.batch:
                self._queue.close()  # with the others, since readers of the log continue at the newest time
                builder.taken.extend(self._queue.take(BATCH_SIZE - len(builder.taken)))
                self._admission.admit()
                self.throttle.relieve()
                while builder.taken:
                    self._drops.add(builder.fill(_SLICE_SIZE))
                    await self.give_way()
            if builder.batch and not await self._write_batch(retry=retry):
                return
            if retry and len(self._queue) < BATCH_SIZE:
                return

    async def _write_batch(self, *, retry: bool) -> bool:
        """Write the batch, or drop it after too many attempts; return False if it stays."""
        builder, first_failed = self._builder, None
        pause = self._every_seconds
        while True:
            try:
                await self._write(builder.batch)
            except Exception as error:  # noqa: BLE001  # no error may end the log
                self._note_failure(error)
            else:
                self._written += builder.batch.decisions
                builder.start_batch()
                self._note_success()
                await self._store_drops()
                return True
            now = time.monotonic()
            first_failed = now if first_failed is None else first_failed
            if now - first_failed >= self._give_up_seconds:
                self._drops.add(builder.losses())
                builder.start_batch()
                return True
            if not retry:
                return False
            await self._task.pause(pause)
            if self._task.is_stopping:
                return False
            pause = min(pause * 2, _MAX_RETRY_SECONDS)

    async def _store_drops(self) -> None:
        """Store what was lost. A failed write is repeated after the next batch, or the next pause."""
        if self._write_drops is None or not (windows := self._drops.unstored()):
            return
        try:
            await self._write_drops(windows)
        except Exception as error:  # noqa: BLE001  # no error may end the log
            self._note_failure(error)
        else:
            self._drops.mark_stored(windows)
            self._note_success()

    def _discard_queue(self) -> None:
        """Count what cannot be written at the end as lost."""
        builder = self._builder
        lost = [*builder.losses(), *losses_of(builder.taken), *losses_of(self._queue.clear())]
        builder.taken.clear()
        builder.start_batch()
        if lost:
            self._drops.count(lost)
            _log.error("decisions were lost at shutdown", decisions=sum(loss.times for loss in lost))

    def _note_failure(self, error: Exception) -> None:
        self._failures += 1
        is_expected = isinstance(error, BatchNotStored)
        message = str(error) if is_expected else type(error).__name__
        if message != self._error:
            _log.error("decisions cannot be written; trying again", error=message, exc_info=not is_expected and error)
        self._error = self._drops.error = message
        self._admission.suspend()
        self.throttle.suspend()

    def _note_success(self) -> None:
        if self._error is not None:
            _log.info("decisions are written again", failures=self._failures)
            self._error = self._drops.error = None
            self._admission.resume()
            self.throttle.resume()

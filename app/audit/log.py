"""The decision log: decisions are noted on a request's path and written beside it, in batches.

Noting is an append to a bounded queue and cannot fail. Whatever happens to the queue or the writer is counted and
logged, and no decision waits for it: a full queue drops, a writer that fails is tried again.
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
from app.audit.record import About, Unverified, about_of
from app.audit.shadowing import Shadowing
from app.audit.tally import Outcomes
from app.identity.principal import Principal
from app.policy.engine.decision import Decision

Writer = Callable[[Batch], Awaitable[None]]
CAPACITY = 20_000  # decisions
BATCH = 2_000  # short, for SQLite has one writer at a time
_AT_ONCE = 200  # decisions put into the batch, before requests have their turn again
MAX_REMEMBERED = 1_000  # outcomes, each with its principal
EVERY_SECONDS = 0.5
GIVE_UP_SECONDS = 60.0
ROOM_SECONDS = 1.0
_STOP_SECONDS = 5.0
_LONGEST_WAIT = 3.0  # so that what waits is written soon after the writer can again
_Key = tuple[int, int, str, str, str]  # principal and outcome by identity; door, resource and action
_Noted = tuple[int, int, str, str, str, str, Principal | None, Decision | Unverified]
_log = structlog.stdlib.get_logger("decisions")


class BatchNotStored(Exception):
    """A batch was not stored. The message is for operators, and shows nothing of the records."""


@dataclass(frozen=True, slots=True)
class Health:
    """What became of the decisions of this process since it started.

    `dropped` were lost: the queue was full, or the writer failed for too long. `failures` counts attempts to write
    that failed, `sampled_out` the allows that sampling left out. `error` is what the writer fails with now.
    """

    queued: int
    capacity: int
    written: int
    dropped: int
    failures: int
    sampled_out: int
    error: str | None


class DecisionLog:
    """Takes decisions at every door. `async with` it: on leaving, what waits is written, within a few seconds.

    `write` stores a batch, whole or not at all, or raises BatchNotStored. `sample` is the share of allows that is kept;
    denials all are; `shadowing` hears of every decision, and `outcomes` counts them. A batch that cannot be written
    for `give_up_seconds` is dropped, so that no one batch stands in the way for ever.
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
        self._waiting: deque[_Noted] = deque()
        self._batch = Batch()
        # By identity, which is a fast comparison. In this batch:
        self._numbers: dict[_Key, int] = {}
        # And since some batches ago, with what each is about, so that no other object takes its identity.
        self._abouts: dict[_Key, tuple[About, Principal | None, Decision | Unverified]] = {}
        self._has_room = asyncio.Event()
        self._rounds = PeriodicTask("decision log", self._round, every_seconds=every_seconds)
        self._written = self._dropped = self._failures = self._sampled_out = 0
        self._told_dropped = 0
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
        """Note one outcome; never raises, never waits.

        `door` names where it was asked for: `app`, `authzen`, a gateway's name. `started` is the
        `time.perf_counter_ns()` at which the door began. The request id is the one of the request at hand.
        """
        took = time.perf_counter_ns() - started
        try:
            self.outcomes.known[door][resource][outcome.reason].append(took)
        except KeyError:
            self.outcomes.first(door, resource, outcome).append(took)
        if self._shadowing is not None:
            self._shadowing.note(resource, action, principal, outcome)
        if self._sample < 1.0 and outcome and random.random() >= self._sample:  # noqa: S311  # a sample, no secret
            self._sampled_out += 1
            return
        if len(self._waiting) >= self._capacity:
            self._dropped += 1
            return
        noted = (time.time_ns(), took, logs.request_id.get(), door, resource, action, principal, outcome)
        self._waiting.append(noted)

    @property
    def health(self) -> Health:
        """The counts now."""
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
        """Wait until less than half of the queue is taken, for at most `ROOM_SECONDS`; not while the writer fails.

        For a caller about to note very many decisions, which would take the place of those of others.
        """
        if len(self._waiting) * 2 > self._capacity and self._error is None:
            self._has_room.clear()
            with suppress(TimeoutError):  # then they are noted all the same
                await asyncio.wait_for(self._has_room.wait(), ROOM_SECONDS)

    async def __aenter__(self) -> Self:
        self._rounds.begin()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await self._rounds.end()
                await self._drain(patient=False)
        if left := self.health.queued:
            self._dropped += left
            self._waiting.clear()
            self._begin_batch()
            _log.error("decisions are lost at the stop", decisions=left)

    async def _round(self) -> None:
        await self._drain(patient=True)
        if self._dropped > self._told_dropped:
            _log.error("decisions were dropped", decisions=self._dropped - self._told_dropped, error=self._error)
            self._told_dropped = self._dropped

    async def _drain(self, *, patient: bool) -> None:
        """Write all that waits; a patient one tries again, with growing pauses, until the stop."""
        while self._batch or self._waiting:
            if not self._batch:
                left = min(len(self._waiting), BATCH)
                while left > 0:
                    self._take(min(left, _AT_ONCE))
                    if len(self._waiting) * 2 <= self._capacity:
                        self._has_room.set()
                    left -= _AT_ONCE
                    await asyncio.sleep(0)
            if self._batch and not await self._write_batch(patient=patient):
                return

    def _begin_batch(self) -> None:
        self._batch = Batch()
        self._numbers.clear()
        if len(self._abouts) >= MAX_REMEMBERED:
            self._abouts.clear()  # now, when no number is given by identity

    def _take(self, number: int) -> None:
        """Move so many that wait into the batch."""
        batch, numbers, waiting = self._batch, self._numbers, self._waiting
        for _ in range(number):
            at, latency, request_id, door, resource, action, principal, outcome = waiting.popleft()
            key = (id(principal), id(outcome), door, resource, action)
            try:
                about = numbers.get(key)
                if about is None:
                    about = numbers[key] = batch.number_of(self._about(key, principal, outcome))
                batch.add(at, latency, request_id, about)
            except Exception:  # noqa: BLE001  # a defect, which must not end the log
                self._dropped += 1
                _log.exception("a decision could not be made a record")

    def _about(self, key: _Key, principal: Principal | None, outcome: Decision | Unverified) -> About:
        known = self._abouts.get(key)
        if known is None:
            known = (about_of(*key[2:], principal, outcome), principal, outcome)
            self._abouts[key] = known
        return known[0]

    async def _write_batch(self, *, patient: bool) -> bool:
        """Write the batch, or give it up; False if it still waits."""
        first_failed: float | None = None
        pause = self._every_seconds
        while True:
            try:
                await self._write(self._batch)
            except Exception as error:  # noqa: BLE001  # whatever it was, it must not end the log
                self._failed(error)
            else:
                self._written += len(self._batch)
                self._begin_batch()
                if self._error is not None:
                    _log.info("decisions are written again", failures=self._failures)
                    self._error = None
                return True
            now = time.monotonic()
            first_failed = now if first_failed is None else first_failed
            if now - first_failed >= self._give_up_seconds:
                self._dropped += len(self._batch)
                self._begin_batch()
                return True
            if not patient:
                return False
            await self._rounds.pause(pause)
            if self._rounds.over:
                return False
            pause = min(pause * 2, _LONGEST_WAIT)

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        self._has_room.set()  # room may never come: end the waits
        expected = isinstance(error, BatchNotStored)
        named = str(error) if expected else type(error).__name__
        if named != self._error:
            _log.error("decisions cannot be written; trying again", error=named, exc_info=not expected and error)
        self._error = named

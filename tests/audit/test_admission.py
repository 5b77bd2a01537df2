"""Requests that wait for room in the queue of the decision log."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.audit.admission import Admission, LogFull
from app.audit.batch import Batch
from app.audit.decision_queue import Share
from app.audit.log import BatchNotStored, DecisionLog
from app.identity.principal import user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason

pytestmark = pytest.mark.anyio

ALLOW = Decision(True, Reason.ALLOWED, "rev")
PERSON = user_principal("user_a", [], {})


async def write(_batch: Batch) -> None:
    await asyncio.sleep(0)


def note(log: DecisionLog, times: int) -> None:
    for _ in range(times):
        log.note("authzen", "record:7", "read", PERSON, ALLOW, started=time.perf_counter_ns())


async def evaluate(log: DecisionLog, count: int) -> None:
    """A batch, during which other tasks run."""
    async with log.room_for(count):
        for _ in range(count):
            note(log, 1)
            await asyncio.sleep(0)


async def test_concurrent_batches_lose_nothing() -> None:
    async with DecisionLog(write, capacity=100, every_seconds=0.01) as log:  # room for 50
        await asyncio.gather(*(evaluate(log, 1 + number * 7 % 50) for number in range(30)))
    assert log.health.dropped == 0
    assert log.health.written == sum(1 + number * 7 % 50 for number in range(30))


async def test_a_request_without_room_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.admission.ROOM_SECONDS", 0.02)
    async with DecisionLog(write, capacity=100, every_seconds=60) as log:
        await evaluate(log, 40)
        with pytest.raises(LogFull, match=r"The decision log is full\."):
            await evaluate(log, 11)
        assert log.has_room
        await evaluate(log, 10)
        assert not log.has_room
        with pytest.raises(LogFull):
            await evaluate(log, 1)
    assert (log.health.written, log.health.dropped) == (50, 0)


async def test_a_batch_larger_than_the_queue_waits_for_an_empty_one() -> None:
    async with DecisionLog(write, capacity=20, every_seconds=0.01) as log:
        note(log, 5)
        async with log.room_for(1_000):
            assert log.health.classes["authzen"].queued == 0


async def test_no_request_waits_while_the_writer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.admission.ROOM_SECONDS", 1000.0)
    failing = True

    async def fail(_batch: Batch) -> None:
        if failing:
            raise BatchNotStored("no")

    async with DecisionLog(fail, capacity=100, every_seconds=0.01) as log, asyncio.timeout(10):
        note(log, 50)
        await asyncio.gather(evaluate(log, 30), evaluate(log, 30))  # begins to wait, and then the first write fails
        await evaluate(log, 30)
        assert log.health.classes["authzen"].dropped > 0
        failing = False
        while log.health.error:
            await asyncio.sleep(0.005)
        await evaluate(log, 50)


async def test_room_is_given_in_turn_and_a_request_that_leaves_gives_it_back() -> None:
    share = Share("authzen", 10)
    admission, admitted = Admission(share), list[str]()

    async def ask(name: str, count: int) -> None:
        async with admission.room_for(count):
            admitted.append(name)

    async with admission.room_for(8):
        large = asyncio.create_task(ask("large", 5))
        await asyncio.sleep(0)
        small = asyncio.create_task(ask("small", 1))
        await asyncio.sleep(0.01)
        assert admitted == [], "the small one is not preferred, or the large one may wait forever"
        large.cancel()
        await small
    assert admitted == ["small"]
    assert share.reserved == 0
    async with admission.room_for(10):
        last = asyncio.create_task(ask("last", 10))
        await asyncio.sleep(0)
    last.cancel()  # at the moment when it is admitted
    with pytest.raises(asyncio.CancelledError):
        await last
    assert (share.reserved, admitted) == (0, ["small"])


async def test_known_callers_are_delayed_until_their_decisions_are_written() -> None:
    async with DecisionLog(write, capacity=100, every_seconds=0.01) as log:

        async def ask_often() -> None:
            for _ in range(50):
                log.note("app", "/x", "GET", PERSON, ALLOW, started=time.perf_counter_ns())
                if log.throttle.is_crowded:
                    await log.throttle.wait()

        await asyncio.gather(*(ask_often() for _ in range(20)))
    assert (log.health.written, log.health.dropped) == (1_000, 0)


async def test_no_caller_is_delayed_while_the_writer_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.audit.admission.ROOM_SECONDS", 1000.0)

    async def fail(_batch: Batch) -> None:
        raise BatchNotStored("no")

    async with DecisionLog(fail, capacity=100, every_seconds=0.01) as log, asyncio.timeout(10):
        for _ in range(100):
            log.note("app", "/x", "GET", PERSON, ALLOW, started=time.perf_counter_ns())
        assert log.throttle.is_crowded
        await log.throttle.wait()  # until the first write fails
        for _ in range(100):
            log.note("app", "/x", "GET", PERSON, ALLOW, started=time.perf_counter_ns())
        assert not log.throttle.is_crowded

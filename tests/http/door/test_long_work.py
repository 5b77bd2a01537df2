"""Turns of long work, which yields to short requests."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from contextlib import suppress
from typing import Any

import pytest
from litestar import Litestar

from app.http.door.long_work import LongWork, in_turn
from app.http.door.traffic import GIVE_WAY_SECONDS, Traffic
from app.http.wire.problems import Problem
from app.identity.principal import user_principal
from tests.support.services import state_of

pytestmark = pytest.mark.anyio


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def _started(
    traffic: Traffic, work: LongWork, caller: str, order: list[str], over: asyncio.Event
) -> asyncio.Task[None]:
    async def run() -> None:
        traffic.enter()  # as each request does
        try:
            async with work.turn(caller):
                order.append(caller)
                await over.wait()
        finally:
            traffic.leave()

    return asyncio.create_task(run())


async def test_each_caller_has_one_turn_and_callers_alternate() -> None:
    traffic, order = Traffic(), list[str]()
    work = LongWork(traffic, max_concurrent=2)
    over = asyncio.Event()
    tasks = [_started(traffic, work, caller, order, over) for caller in ("a", "a", "a", "a", "b", "c", "d")]
    await _settle()
    assert order == ["a", "b"]
    over.set()
    await asyncio.gather(*tasks)
    assert order[:4] == ["a", "b", "c", "d"]
    assert Counter(order) == {"a": 4, "b": 1, "c": 1, "d": 1}
    assert traffic.requests == 0


@pytest.mark.parametrize("seed", range(8))
async def test_a_turn_is_released_however_a_request_ends(seed: int) -> None:
    chance = random.Random(seed)
    traffic, order, max_concurrent = Traffic(), list[str](), chance.randint(1, 4)
    work = LongWork(traffic, max_concurrent)
    running: Counter[str] = Counter()

    async def run(caller: str) -> None:
        traffic.enter()
        try:
            async with work.turn(caller):
                running[caller] += 1
                assert running.total() <= max_concurrent
                assert running[caller] == 1
                try:
                    await asyncio.sleep(chance.choice((0, 0, 0.0005)))
                    if chance.random() < 0.2:
                        raise ValueError
                finally:
                    running[caller] -= 1
        finally:
            traffic.leave()

    tasks = [asyncio.create_task(run(chance.choice("abcdef"))) for _ in range(60)]
    for _ in tasks:
        await asyncio.sleep(0)
        if chance.random() < 0.4:
            chance.choice(tasks).cancel()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert {type(outcome) for outcome in outcomes if outcome} <= {asyncio.CancelledError, ValueError}
    assert traffic.requests == 0
    tasks = [_started(traffic, work, str(number), order, asyncio.Event()) for number in range(max_concurrent + 1)]
    await _settle()
    assert len(order) == max_concurrent
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_the_number_of_waiting_requests_of_a_caller_is_bounded() -> None:
    traffic, order, over = Traffic(), list[str](), asyncio.Event()
    work = LongWork(traffic, max_waiting=3)
    tasks = [_started(traffic, work, "a", order, over) for _ in range(4)]
    await _settle()
    for refused in (work.turn("a"), work.turn("a")):
        with pytest.raises(Problem) as problem:
            await refused.__aenter__()
        assert (problem.value.status, problem.value.detail) == (429, "Too many requests.")
    tasks.append(_started(traffic, work, "b", order, over))
    await _settle()
    assert order == ["a", "b"], "another caller is not refused"
    over.set()
    await asyncio.gather(*tasks)
    assert order.count("a") == 4
    work.check_waiting("a")
    assert traffic.requests == 0


async def test_long_work_yields_to_short_requests_for_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.door.traffic.GIVE_WAY_SECONDS", 60.0)
    traffic, steps = Traffic(), list[str]()

    async def give_way() -> None:
        await traffic.give_way()
        steps.append("long")

    await give_way()
    traffic.enter()
    traffic.enter()
    waiting = asyncio.create_task(give_way())
    await _settle()
    traffic.leave()
    await _settle()
    assert steps == ["long"]
    traffic.leave()
    await waiting
    assert steps == ["long", "long"]

    monkeypatch.setattr("app.http.door.traffic.GIVE_WAY_SECONDS", GIVE_WAY_SECONDS)
    await give_way()
    traffic.enter()  # a request without an answer
    async with asyncio.timeout(1000 * GIVE_WAY_SECONDS):
        await give_way()
    assert steps == ["long"] * 4


async def test_a_request_waits_for_one_slice_of_long_work_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.door.traffic.GIVE_WAY_SECONDS", 60.0)
    traffic, slices, over = Traffic(), 0, False

    async def work() -> None:
        nonlocal slices
        while not over:
            slices += 1
            await traffic.give_way()

    tasks = [asyncio.create_task(work()) for _ in range(4)]
    for turn in range(50):
        await asyncio.sleep(0 if turn % 2 else 0.001)
        before = slices
        for _ in range(3):  # a server reads it, starts it, and counts it
            await asyncio.sleep(0)
        traffic.enter()
        assert slices <= before + 1
        await _settle()
        assert slices <= before + 2, "the one that was woken before it was counted"
        traffic.leave()
    assert slices > 50
    over = True
    await asyncio.gather(*tasks)


async def test_a_request_that_waits_for_its_client_hardly_delays_long_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.http.door.traffic.GIVE_WAY_SECONDS", 0.2)
    traffic, loop = Traffic(), asyncio.get_running_loop()
    for _ in range(2):
        traffic.enter()
        started = loop.time()
        await traffic.give_way()
        assert loop.time() - started > 0.15, "the first time, it has its whole time"
        for _ in range(30):
            await traffic.give_way()
        assert loop.time() - started < 3, "half of 31 times as long"
        traffic.leave()
        await traffic.give_way()


async def test_long_work_that_is_cancelled_does_not_stop_the_rest() -> None:
    traffic, done = Traffic(), list[int]()

    async def work(number: int) -> None:
        await traffic.give_way()
        done.append(number)

    for request in (True, False):
        if request:
            traffic.enter()
        tasks = [asyncio.create_task(work(number)) for number in range(4)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        if request:
            traffic.leave()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert done == [1, 3, 1, 3]


class Page:
    """A handler behind the middleware that begins and ends its answer on command."""

    def __init__(self, **failures: Exception) -> None:
        self.traffic = Traffic()
        self.begun: list[str] = []
        self.begins, self.ends = asyncio.Event(), asyncio.Event()
        self._failures = failures
        self._app = Litestar(state=state_of(long_work=LongWork(self.traffic)))
        self._behind = in_turn(self._answer)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        self.begun.append(scope["user"].subject)
        if failure := self._failures.get(scope["user"].subject):
            raise failure
        await self.begins.wait()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await self.ends.wait()

    async def ask(self, caller: str, method: str = "GET") -> None:
        async def send(message: Any) -> None:
            assert message["status"] == 200
            self.traffic.leave()  # as where requests are counted

        unused: Any = None
        scope: Any = {
            "type": "http",
            "method": method,
            "litestar_app": self._app,
            "user": user_principal(caller, (), {}),
        }
        self.traffic.enter()
        await self._behind(scope, unused, send)


async def test_a_page_holds_its_turn_until_its_answer_begins() -> None:
    page = Page()
    tasks = [asyncio.create_task(page.ask("a")) for _ in range(3)]
    await _settle()
    assert page.begun == ["a"]
    page.begins.set()
    await _settle()
    assert page.begun == ["a"] * 3
    assert page.traffic.requests == 0
    page.ends.set()
    await asyncio.gather(*tasks)


async def test_other_requests_have_no_turn() -> None:
    page = Page()
    tasks = [asyncio.create_task(page.ask("a", method)) for method in ("POST", "GET", "HEAD", "DELETE")]
    async with asyncio.timeout(10):
        while len(page.begun) < 3:  # the page yields to the others for a moment
            await asyncio.sleep(0.001)
    await _settle()
    assert len(page.begun) == 3, "two that write, and one of the pages"
    page.begins.set()
    page.ends.set()
    await asyncio.gather(*tasks)


async def test_a_failing_page_releases_its_turn() -> None:
    page = Page(a=ValueError("none"))
    for _ in range(3):
        with pytest.raises(ValueError, match="none"):
            await page.ask("a")
    assert page.begun == ["a"] * 3


async def test_the_bodies_of_the_waiting_requests_of_a_caller_are_bounded() -> None:
    traffic, order = Traffic(), list[str]()
    work, over = LongWork(traffic, max_concurrent=1), asyncio.Event()
    running = _started(traffic, work, "a", order, over)
    await _settle()

    async def wait(caller: str, length: int) -> None:
        traffic.enter()
        async with work.turn(caller, length):
            order.append(caller)
        traffic.leave()

    waiting = [asyncio.create_task(wait("a", 1_000_000)) for _ in range(16)]
    await _settle()
    with pytest.raises(Problem) as refused:
        work.check_waiting("a", 1)
    assert refused.value.status == 429
    work.check_waiting("a")
    work.check_waiting("b", 16_000_000)
    waiting.pop().cancel()
    await _settle()
    work.check_waiting("a", 1_000_000)
    over.set()
    await asyncio.gather(running, *waiting)
    work.check_waiting("a", 16_000_000)
    assert order == ["a"] * 16

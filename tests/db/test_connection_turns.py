"""How the connections of a process are divided among its callers."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from app.db.connection_turns import Caller, ConnectionTurns

pytestmark = pytest.mark.anyio
ANN, BOB, CEM = ("subject", "ann"), ("subject", "bob"), ("subject", "cem")


class Queue:
    """Turns, with a task for each that was asked for, and the callers in the order in which they got one."""

    def __init__(self, free: int) -> None:
        self.turns = ConnectionTurns(free)
        self.began: list[Caller | None] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def ask(self, *callers: Caller | None, seconds: float = 10) -> None:
        for caller in callers:
            self.tasks.append(asyncio.create_task(self._take(caller, seconds)))
            await asyncio.sleep(0)

    async def _take(self, caller: Caller | None, seconds: float) -> None:
        await self.turns.take(caller, seconds)
        self.began.append(caller)

    async def give_back(self, caller: Caller | None) -> list[Caller | None]:
        """Who begins when a caller gives a turn back."""
        before = len(self.began)
        self.turns.give_back(caller)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return self.began[before:]


async def test_a_caller_holds_half_of_the_connections_and_another_one_half_of_the_rest() -> None:
    queue = Queue(10)
    await queue.ask(*[ANN] * 20, *[BOB] * 20, *[CEM] * 20)
    assert Counter(queue.began) == {ANN: 5, BOB: 3, CEM: 1}


async def test_any_caller_may_take_the_only_connection() -> None:
    queue = Queue(1)
    await queue.ask(ANN, BOB)
    assert queue.began == [ANN]
    assert await queue.give_back(ANN) == [BOB]


async def test_callers_that_wait_are_served_in_turn_however_many_requests_each_has() -> None:
    queue = Queue(1)
    await queue.ask(CEM, *[ANN] * 3, BOB, CEM)
    held: list[Caller | None] = [CEM]
    for _ in range(5):
        held += await queue.give_back(held[-1])
    assert held == [CEM, ANN, BOB, CEM, ANN, ANN]


async def test_the_process_may_take_every_connection_and_gets_every_second_turn() -> None:
    queue = Queue(4)
    await queue.ask(*[ANN] * 4, None, None, BOB, None, None)
    assert queue.began == [ANN, ANN, None, None]
    assert [await queue.give_back(None) for _ in range(4)] == [[None], [BOB], [None], []]
    assert await queue.give_back(BOB) == []
    assert await queue.give_back(ANN) == [ANN]


async def test_a_caller_who_gave_turns_back_may_take_as_many_again() -> None:
    queue = Queue(4)
    await queue.ask(ANN, ANN, ANN)
    assert await queue.give_back(ANN) == [ANN]
    assert await queue.give_back(ANN) == []
    await queue.ask(ANN)
    assert queue.began == [ANN] * 4


async def test_a_request_that_waits_too_long_or_ends_has_no_turn_and_keeps_none() -> None:
    queue = Queue(1)
    await queue.ask(ANN)
    await queue.ask(BOB, None, seconds=0.01)
    await queue.ask(CEM)
    queue.tasks[-1].cancel()
    outcomes = await asyncio.gather(*queue.tasks[1:], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [TimeoutError, TimeoutError, asyncio.CancelledError]
    assert await queue.give_back(ANN) == []
    await queue.ask(ANN)
    assert queue.began == [ANN, ANN]


@pytest.mark.parametrize(("first", "second"), [(BOB, CEM), (None, CEM), (BOB, BOB)])
async def test_a_turn_that_is_given_to_a_request_as_it_ends_is_passed_on(first: Caller | None, second: Caller) -> None:
    queue = Queue(1)
    await queue.ask(ANN, first, second)
    queue.turns.give_back(ANN)
    queue.tasks[1].cancel()
    await asyncio.wait(queue.tasks)
    assert queue.tasks[1].cancelled()
    assert queue.began == [ANN, second]

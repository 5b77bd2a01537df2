"""The Python client: its verdicts, and concurrent tasks."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from scripts.clients.authzen import DecisionPoint, Question, Verdict
from tests.clients.asking import TOKEN
from tests.clients.peer import Exchange, Peer

pytestmark = pytest.mark.anyio


def about(who: str, **context: Any) -> Question:
    return {
        "subject": {"type": "user", "id": who},
        "action": {"name": "read"},
        "resource": {"type": "record", "id": "record-1"},
        "context": context,
    }


def waits(exchange: Exchange, content: bytes) -> None:
    exchange.peer.closed.wait(60)


async def test_a_verdict_is_true_only_if_it_allows() -> None:
    with Peer() as peer:
        async with DecisionPoint(peer.url, TOKEN, timeout=20) as pdp:
            allowed, denied = await pdp.evaluate(about("alice")), await pdp.evaluate(about("bob"))
    assert allowed == Verdict(True, "", peer.requests[0].headers["x-request-id"])
    assert denied == Verdict(False, "", peer.requests[1].headers["x-request-id"])
    assert allowed
    assert not denied
    assert allowed.request_id != denied.request_id


async def test_concurrent_calls_get_their_own_answers() -> None:
    names = ["alice" if number % 3 else "bob" for number in range(60)]
    with Peer() as peer:
        async with DecisionPoint(peer.url, TOKEN, timeout=20) as pdp:
            verdicts = await asyncio.gather(*(pdp.evaluate(about(name)) for name in names))
    assert [(verdict.allowed, verdict.failure) for verdict in verdicts] == [(name == "alice", "") for name in names]


async def test_a_cancelled_task_is_cancelled_and_the_client_still_works() -> None:
    with Peer(waits, lambda exchange, content: exchange.answer(200, content)) as peer:
        async with DecisionPoint(peer.url, TOKEN, timeout=20) as pdp:
            task = asyncio.create_task(pdp.evaluate(about("alice")))
            while not peer.requests:
                await asyncio.sleep(0.01)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await pdp.evaluate(about("alice"))


async def test_a_closed_client_denies() -> None:
    with Peer() as peer:
        async with DecisionPoint(peer.url, TOKEN, timeout=20) as pdp:
            assert await pdp.evaluate(about("alice"))
        assert (await pdp.evaluate(about("alice"))).failure == "no answer: RuntimeError"
        assert [bool(verdict) for verdict in await pdp.evaluate_all([about("alice")] * 2)] == [False, False]


def endless() -> dict[str, Any]:
    circle: dict[str, Any] = {}
    circle["circle"] = circle
    return circle


def deep() -> list[Any]:
    nested: list[Any] = []
    for _ in range(100_000):
        nested = [nested]
    return nested


@pytest.mark.parametrize("value", [object, lambda: {1, 2}, lambda: b"x", lambda: "\ud800", endless, deep])
async def test_values_that_json_cannot_represent_are_denied(value: Callable[[], object]) -> None:
    with Peer() as peer:
        async with DecisionPoint(peer.url, TOKEN, timeout=20) as pdp:
            verdicts = await pdp.evaluate_all([about("alice", value=value()), about("alice")])
    assert [verdict.allowed for verdict in verdicts] == [False, True]
    assert verdicts[0].failure.startswith("the question cannot be sent as JSON: ")


async def test_the_token_is_not_in_the_repr() -> None:
    async with DecisionPoint("https://pdp.example.com", TOKEN) as pdp:
        assert TOKEN not in repr(pdp)
        assert TOKEN not in str(vars(pdp))

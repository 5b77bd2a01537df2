"""Clients by the URL of their document: cached, fetched once, and limited by user."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.identity.budget import BudgetSpent
from app.oauth.client import Client
from app.oauth.client_document import ClientDocumentRefused
from app.oauth.document_clients import MAX_FETCHES_OF_USER, DocumentClients
from app.oauth.public_address import Address
from tests.oauth.document_host import DocumentHost, document_host

pytestmark = pytest.mark.anyio


class Clock:
    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[DocumentHost]:
    async with document_host(tmp_path) as started:
        yield started


@pytest.fixture
def clock() -> Clock:
    return Clock()


def clients(host: DocumentHost, clock: Clock, **given: Any) -> DocumentClients:
    return DocumentClients(host.fetch(), clock=clock, **given)


async def test_a_document_is_cached_as_long_as_it_says(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock)
    host.serve(host.document(), "Cache-Control: max-age=600")
    first = await found.find(host.url, "user_a")
    host.serve(host.document(client_name="Changed", redirect_uris=["https://b.example/"]))
    clock.now += 599
    assert await found.find(host.url, "user_b") is first
    clock.now += 1
    second = await found.find(host.url, "user_b")
    assert (second.name, second.version == first.version) == ("Changed", False)
    assert len(host.heads) == 2


async def test_requests_at_the_same_time_share_a_fetch(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock)
    first, *others = await asyncio.gather(*(found.find(host.url, f"user_{number}") for number in range(20)))
    assert all(other is first for other in others)
    assert len(host.heads) == len(host.lookups) == 1


async def test_a_request_that_is_cancelled_does_not_end_the_fetch_of_others(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock)
    host.pause = 0.001
    gone = asyncio.create_task(found.find(host.url, "user_a"))
    await asyncio.sleep(0)
    waiting = asyncio.create_task(found.find(host.url, "user_b"))
    await asyncio.sleep(0)
    gone.cancel()
    assert (await waiting).name == "Scores"
    assert len(host.lookups) == 1


async def test_an_error_is_not_cached(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock)
    for body in (b"{", b"{}"):
        host.serve(body)
        with capture_logs() as logged, pytest.raises(ClientDocumentRefused):
            await found.find(host.url, "user_a")
        assert [(line["client_id"], bool(line["reason"])) for line in logged] == [(host.url, True)]
    host.serve(b"", status="500 Error")
    with pytest.raises(ClientDocumentRefused, match="the status of the answer is 500"):
        await found.find(host.url, "user_a")
    assert len(found) == 0
    host.serve(host.document())
    assert (await found.find(host.url, "user_a")).name == "Scores"


async def test_a_document_that_has_become_invalid_is_not_used(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock)
    await found.find(host.url, "user_a")
    host.serve(b"", status="404 Not Found")
    clock.now += 301
    for _ in range(2):
        with pytest.raises(ClientDocumentRefused):
            await found.find(host.url, "user_a")


async def test_a_user_who_causes_too_many_fetches_is_refused(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock, fetches_per_minute=3)
    host.serve(b"{")
    for _ in range(3):
        with pytest.raises(ClientDocumentRefused):
            await found.find(host.url, "user_a")
    with pytest.raises(BudgetSpent):
        await found.find(host.url, "user_a")
    assert len(host.heads) == 3
    host.serve(host.document())
    await found.find(host.url, "user_b")
    assert (await found.find(host.url, "user_a")).name == "Scores"  # from the cache


async def test_the_fetches_of_one_user_leave_room_for_those_of_others(host: DocumentHost, clock: Clock) -> None:
    waiting = asyncio.Event()

    async def resolve(name: str, port: int) -> Sequence[Address]:
        if name.startswith("slow"):
            await waiting.wait()
        return await host.resolve(name, port)

    found = DocumentClients(host.fetch(resolve=resolve), clock=clock)
    slow = [f"https://slow{number}.example/client.json" for number in range(3)]
    pending = [asyncio.create_task(found.find(url, "user_a")) for url in slow[:MAX_FETCHES_OF_USER]]
    await asyncio.sleep(0)
    with pytest.raises(BudgetSpent) as refused:
        await found.find(slow[-1], "user_a")
    assert refused.value.retry_after == 3
    assert (await found.find(host.url, "user_b")).name == "Scores"
    waiting.set()
    assert all(
        isinstance(each, ClientDocumentRefused) for each in await asyncio.gather(*pending, return_exceptions=True)
    )
    assert (await found.find(host.url, "user_a")).name == "Scores"


async def test_a_fetch_that_ends_makes_room_for_one_of_its_user(host: DocumentHost, clock: Clock) -> None:
    gates = [asyncio.Event() for _ in range(4)]

    async def resolve(name: str, port: int) -> Sequence[Address]:
        await gates[int(name.partition(".")[0])].wait()
        return await host.resolve(name, port)

    found = DocumentClients(host.fetch(resolve=resolve), clock=clock)
    pending: list[asyncio.Task[Client]] = []
    for ended in (None, 0, 1):
        if ended is not None:
            gates[ended].set()
            with pytest.raises(ClientDocumentRefused):
                await pending[ended]
        while len(pending) < 2 + (0 if ended is None else ended + 1):
            url = f"https://{len(pending)}.example/client.json"
            pending.append(asyncio.create_task(found.find(url, "user_a")))
            await asyncio.sleep(0)
        with pytest.raises(BudgetSpent):
            await found.find("https://9.example/client.json", "user_a")
    for gate in gates:
        gate.set()
    await asyncio.gather(*pending, return_exceptions=True)


async def test_a_slow_fetch_counts_as_several(host: DocumentHost, clock: Clock) -> None:
    async def hang(_host: str, _port: int) -> Sequence[Address]:
        await asyncio.Event().wait()
        raise AssertionError

    for fetches, slow in ((20, 4), (21, 5)):
        found = DocumentClients(host.fetch(resolve=hang, seconds=0.01), clock=clock, fetches_per_minute=fetches)
        for number in range(slow):
            with pytest.raises(ClientDocumentRefused, match="no complete answer"):
                await found.find(f"https://slow{number}.example/client.json", "user_a")
        with pytest.raises(BudgetSpent):
            await found.find(host.url, "user_a")


async def test_what_is_no_address_is_refused_without_a_fetch(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock, fetches_per_minute=1)
    for client_id in ("https://app.example", "http://app.example/a", "app_1", "https://app.example/../a"):
        with pytest.raises(ClientDocumentRefused):
            await found.find(client_id, "user_a")
    assert host.lookups == []


async def test_the_cache_is_bounded(host: DocumentHost, clock: Clock) -> None:
    found = clients(host, clock, max_cached=2, fetches_per_minute=0)
    for number in range(5):
        url = f"{host.url}?{number}"
        host.serve(host.document(client_id=url))
        await found.find(url, "user_a")
        assert len(found) <= 2
    await found.find(f"{host.url}?3", "user_a")
    host.serve(host.document(client_id=f"{host.url}?5"))
    await found.find(f"{host.url}?5", "user_a")
    assert len(host.heads) == 6
    await found.find(f"{host.url}?3", "user_a")  # which was used after 4
    assert len(host.heads) == 6

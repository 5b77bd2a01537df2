"""How long the issuer's endpoints are known, and when it is asked for them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from app.console.discovery import COOLDOWN_SECONDS, FRESH_SECONDS, STALE_SECONDS, Discovery, Undiscovered, read
from app.identity.fetch import FetchFailed

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example/tenant"


class Source:
    """An issuer's document under a test's control, and a clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.up = True
        self.token = "https://issuer.example/token"
        self.discovery = Discovery(ISSUER, self.get, lambda: self.now)

    def document(self) -> Mapping[str, object]:
        return {"issuer": ISSUER, "authorization_endpoint": "https://issuer.example/a", "token_endpoint": self.token}

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        await asyncio.sleep(0)
        if not self.up:
            raise FetchFailed("no connection: refused")
        return 200, json.dumps(self.document()).encode()

    async def address(self) -> str:
        return (await self.discovery.endpoints()).token


@pytest.fixture
def source() -> Source:
    return Source()


async def test_it_is_asked_once_however_many_want_to_know(source: Source) -> None:
    assert await asyncio.gather(*(source.address() for _ in range(20))) == [source.token] * 20
    assert source.asked == ["https://issuer.example/tenant/.well-known/openid-configuration"]


async def test_a_change_is_taken_over_once_what_is_known_is_no_longer_fresh(source: Source) -> None:
    before = await source.address()
    source.token = "https://issuer.example/new"
    source.now = FRESH_SECONDS - 0.1
    assert await source.address() == before
    source.now = FRESH_SECONDS
    assert await source.address() == source.token


async def test_an_outage_is_borne_for_a_while_and_not_for_ever(source: Source) -> None:
    await source.address()
    source.up = False
    source.now = STALE_SECONDS - 0.1
    assert await source.address() == source.token
    source.now = STALE_SECONDS
    with pytest.raises(Undiscovered, match="no connection"):
        await source.address()
    source.up = True
    source.now = STALE_SECONDS + COOLDOWN_SECONDS
    assert await source.address() == source.token


async def test_an_issuer_that_is_down_is_not_asked_again_at_once(source: Source) -> None:
    source.up = False
    for _ in range(5):
        with pytest.raises(Undiscovered):
            await source.address()
    assert len(source.asked) == 1
    source.now = COOLDOWN_SECONDS
    with pytest.raises(Undiscovered):
        await source.address()
    assert len(source.asked) == 2


@pytest.mark.parametrize(
    ("issuer", "endpoint", "taken"),
    [
        ("https://issuer.example", "https://login.issuer.example/token?tenant=1", True),
        ("https://issuer.example", "http://issuer.example/token", False),
        ("https://issuer.example", "http://127.0.0.1/token", False),
        ("https://issuer.example", "HTTP://127.0.0.1/token", False),
        ("https://issuer.example", "https://127.0.0.1@issuer.example/token", False),
        ("https://issuer.example", "https://issuer.example/token#a", False),
        ("http://127.0.0.2:80", "http://127.0.0.3:81/token", True),
        ("http://127.0.0.2:80", "http://[::1]/token", True),
        ("http://127.0.0.2:80", "http://10.0.0.1/token", False),
        ("http://127.0.0.2:80", "https://issuer.example/token", True),
    ],
)
async def test_endpoints_are_https_but_for_an_issuer_on_the_loopback(issuer: str, endpoint: str, taken: bool) -> None:
    body = {"issuer": issuer, "authorization_endpoint": endpoint, "token_endpoint": endpoint}
    if taken:
        assert read(json.dumps(body).encode(), issuer).token == endpoint
    else:
        with pytest.raises(Undiscovered, match="no https address"):
            read(json.dumps(body).encode(), issuer)

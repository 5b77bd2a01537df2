"""Discovery of the issuer's endpoints: caching, outages and validation."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping

import pytest

from app.console.discovery import Discovery, IssuerEndpoints, Undiscovered, read
from app.identity.fetch import FetchFailed

pytestmark = pytest.mark.anyio

ISSUER = "https://issuer.example/tenant"
FRESH_SECONDS, STALE_SECONDS, COOLDOWN_SECONDS = 600, 3600, 5


class Source:
    """A discovery document and a clock that a test controls."""

    def __init__(self) -> None:
        self.now = 0.0
        self.asked: list[str] = []
        self.up = True
        self.token = "https://issuer.example/token"
        self.status = 200
        self.seconds = 0.0  # that an answer takes
        self.discovery = Discovery(ISSUER, self.get, lambda: self.now)

    def document(self) -> Mapping[str, object]:
        return {"issuer": ISSUER, "authorization_endpoint": "https://issuer.example/a", "token_endpoint": self.token}

    async def get(self, url: str) -> tuple[int, bytes]:
        self.asked.append(url)
        await asyncio.sleep(0)
        self.now += self.seconds
        if not self.up:
            raise FetchFailed("no connection: refused")
        return self.status, json.dumps(self.document()).encode()

    async def address(self) -> str:
        return (await self.discovery.endpoints()).token


@pytest.fixture
def source() -> Source:
    return Source()


async def test_concurrent_callers_share_one_fetch(source: Source) -> None:
    assert await asyncio.gather(*(source.address() for _ in range(20))) == [source.token] * 20
    assert source.asked == ["https://issuer.example/tenant/.well-known/openid-configuration"]


async def test_a_changed_document_is_used_when_the_cached_one_is_stale(source: Source) -> None:
    before = await source.address()
    source.token = "https://issuer.example/new"
    source.now = FRESH_SECONDS - 0.1
    assert await source.address() == before
    source.now = FRESH_SECONDS
    assert await source.address() == source.token


async def test_cached_endpoints_bridge_an_outage_until_they_are_too_old(source: Source) -> None:
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


async def test_the_age_of_a_document_counts_from_its_request(source: Source) -> None:
    source.seconds = 3
    before = await source.address()
    source.token = "https://issuer.example/new"
    source.now = FRESH_SECONDS - 0.1
    assert await source.address() == before
    source.now = FRESH_SECONDS
    assert await source.address() == source.token


async def test_the_cooldown_begins_when_a_slow_failure_ends(source: Source) -> None:
    await source.address()
    source.up, source.seconds, source.now = False, 3, FRESH_SECONDS
    for now, asked in ((FRESH_SECONDS, 2), (FRESH_SECONDS + 7.9, 2), (FRESH_SECONDS + 8, 3)):
        source.now = now
        assert await source.address() == source.token
        assert len(source.asked) == asked


@pytest.mark.parametrize("status", [201, 302, 404, 500])
async def test_a_document_with_another_status_than_200_is_refused(source: Source, status: int) -> None:
    source.status = status
    with pytest.raises(Undiscovered, match=f"the discovery document has status {status}"):
        await source.address()


async def test_the_path_follows_an_issuer_with_a_slash_at_its_end() -> None:
    asked: list[str] = []

    async def get(url: str) -> tuple[int, bytes]:
        asked.append(url)
        return 404, b""

    with pytest.raises(Undiscovered):
        await Discovery("https://issuer.example/a/", get).endpoints()
    assert asked == ["https://issuer.example/a/.well-known/openid-configuration"]


async def test_a_failed_fetch_is_retried_after_the_cooldown(source: Source) -> None:
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
async def test_endpoints_need_https_except_on_loopback(issuer: str, endpoint: str, taken: bool) -> None:
    body = {"issuer": issuer, "authorization_endpoint": endpoint, "token_endpoint": endpoint}
    if taken:
        assert read(json.dumps(body).encode(), issuer).token == endpoint
    else:
        with pytest.raises(Undiscovered, match="not an https address"):
            read(json.dumps(body).encode(), issuer)


STATED = {"issuer": ISSUER, "authorization_endpoint": "https://a.example/a", "token_endpoint": "https://a.example/t"}


def read_with(**members: object) -> IssuerEndpoints:
    return read(json.dumps({**STATED, **members}).encode(), ISSUER)


LONGEST = "https://a.example/".ljust(2000, "x")


@pytest.mark.parametrize(
    ("members", "endpoints"),
    [
        ({}, IssuerEndpoints("https://a.example/a", "https://a.example/t", None, False)),
        ({"end_session_endpoint": None}, IssuerEndpoints("https://a.example/a", "https://a.example/t", None, False)),
        (
            {"end_session_endpoint": "https://a.example/o", "code_challenge_methods_supported": ["plain", "S256"]},
            IssuerEndpoints("https://a.example/a", "https://a.example/t", "https://a.example/o", False),
        ),
        ({"token_endpoint": LONGEST}, IssuerEndpoints("https://a.example/a", LONGEST, None, False)),
        *(
            (
                {"authorization_response_iss_parameter_supported": stated},
                IssuerEndpoints("https://a.example/a", "https://a.example/t", None, stated is True),
            )
            for stated in (True, False, None, "true", 1)
        ),
    ],
    ids=str,
)
async def test_the_endpoints_of_a_document(members: dict[str, object], endpoints: IssuerEndpoints) -> None:
    assert read_with(**members) == endpoints


PKCE = "the issuer does not support PKCE with S256"
ANOTHER = "the discovery document is another issuer's: AUTHZ_ISSUER and its `issuer` differ"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        *(({"issuer": issuer}, ANOTHER) for issuer in (None, "https://evil.example", ISSUER + "/", [ISSUER], "")),
        *(
            ({"code_challenge_methods_supported": methods}, PKCE)
            for methods in ([], ["plain"], ["s256"], "S256", {"S256": 1}, False)
        ),
        *(
            ({name: stated}, f"the discovery document has no usable {name}")
            for name in ("authorization_endpoint", "token_endpoint")
            for stated in (None, 7, ["https://a.example/"], LONGEST + "x")
        ),
        *(
            ({name: stated}, f"the {name} is not an https address")
            for name in ("authorization_endpoint", "token_endpoint", "end_session_endpoint")
            for stated in (
                "",
                "https://a.example/\r\nx",
                "https://a.example/é",
                "javascript:alert(1)",
                "http://a.example/",
            )
        ),
        ({"end_session_endpoint": False}, "the discovery document has no usable end_session_endpoint"),
        ({"end_session_endpoint": LONGEST + "x"}, "the discovery document has no usable end_session_endpoint"),
    ],
    ids=str,
)
async def test_why_a_document_is_refused(members: dict[str, object], why: str) -> None:
    with pytest.raises(Undiscovered) as refused:
        read_with(**members)
    assert str(refused.value) == why


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "the discovery document is not JSON"),
        (b"\xff", "the discovery document is not JSON"),
        (b"[" * 100_000, "the discovery document is not JSON"),
        (b"[]", "the discovery document is not an object"),
        (b'"issuer"', "the discovery document is not an object"),
    ],
    ids=range(5),
)
async def test_an_invalid_document_is_refused(body: bytes, why: str) -> None:
    with pytest.raises(Undiscovered) as refused:
        read(body, ISSUER)
    assert str(refused.value) == why

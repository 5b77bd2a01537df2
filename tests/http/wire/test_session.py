"""The session of a request whose handler raises: nothing keeps the request until a collection of all garbage."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import httpx
import pytest
from litestar import Request

from app.db.engine import open_engine
from app.http.wire.litestar_private import without_outer_layers
from tests.griddy.resource_api import build

pytestmark = pytest.mark.anyio
BIG = 500_000


@pytest.fixture
async def client(url: str) -> AsyncIterator[httpx.AsyncClient]:
    app = build(engine := open_engine(url))
    transport = httpx.ASGITransport(without_outer_layers(app))  # type: ignore[arg-type]  # the scope is another type
    async with httpx.AsyncClient(transport=transport, base_url="http://a/api/v1") as opened:
        yield opened
    await engine.dispose()


@contextmanager
def without_collections() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def kept_requests() -> int:
    return sum(isinstance(each, Request) for each in gc.get_objects())


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/leagues", None, 200),
        ("GET", "/leagues/9", None, 404),
        ("GET", "/leagues?cursor=no", None, 400),
        ("POST", "/leagues", {"name": "n" * BIG}, 400),
        ("PUT", "/leagues/9", {"name": "n", "abbreviation": "NFL", "country": "US"}, 404),
        ("DELETE", "/leagues/9", None, 404),
    ],
)
async def test_no_request_is_kept_after_its_answer(
    client: httpx.AsyncClient, method: str, path: str, body: object, status: int
) -> None:
    with without_collections():
        before = kept_requests()
        assert (await client.request(method, path, json=body)).status_code == status
        assert kept_requests() == before


async def test_a_session_ends_with_its_request_when_the_handler_raises(
    client: httpx.AsyncClient,
) -> None:
    league = {"name": "League", "abbreviation": "NFL", "country": "US"}
    assert (await client.post("/leagues", json=league)).status_code == 201
    for _ in range(30):  # more than there are connections
        assert (await client.post("/leagues", json=league)).status_code == 409

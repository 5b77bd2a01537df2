"""Long answers are encoded in slices: the same JSON, with turns for other requests in between."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime

import msgspec
import pytest
from msgspec import UNSET, UnsetType

from app.http.wire.sliced_json import SLICE_LENGTH, sliced_response
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

pytestmark = pytest.mark.anyio


@dataclass
class _Item:
    name: str
    at: datetime


@dataclass
class _View:
    revision: str
    items: list[_Item]
    names: list[str]
    left_out: str | UnsetType = UNSET


@pytest.mark.parametrize("length", [0, 1, SLICE_LENGTH, SLICE_LENGTH + 1, 5 * SLICE_LENGTH])
async def test_sliced_json_equals_plain_json(length: int) -> None:
    item = _Item('"é\n', datetime(2026, 11, 24, tzinfo=UTC))
    view = _View("r", [item] * length, [str(number) for number in range(length)])
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            await asyncio.sleep(0)
            turns += 1

    running = asyncio.create_task(others())
    answer = await sliced_response(view)
    running.cancel()
    assert msgspec.json.decode(answer.render(answer.content, "application/json")) == msgspec.json.decode(
        msgspec.json.encode(view)
    )
    assert turns >= (0 if length <= SLICE_LENGTH else 2 * (length // SLICE_LENGTH) - 1)


async def test_a_stored_policy_is_returned_unchanged(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["policies:read"])) as client:
        entry = client.get("/api/v1/policies/history/").json()["results"][0]
        answer = client.get(f"/api/v1/policies/history/{entry['revision']}/")
        who = client.get("/api/v1/policies/who/", params={"action": "GET", "resource": "/api/v1/teams"})
    assert answer.headers["content-type"] == who.headers["content-type"] == "application/json"
    assert answer.json()["entry"] == entry
    files = {name: (server.policy_dir / name).read_text() for name in ("catalog.csv", "permissions.toml")}
    assert {name: answer.json()["files"][name] for name in files} == files
    assert who.json()["ways"][0]["grants"] == ["catalog:read"]

"""The ASGI middleware lets no request through whose path is not the one that was decided."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any

import pytest

from scripts.clients.asgi import Authorization
from scripts.clients.authzen import DecisionPoint

NOWHERE = "http://127.0.0.1:1"  # no decision can be had
Message = MutableMapping[str, Any]


def statuses(path: str, raw_path: bytes | None) -> list[int]:
    """The status of the answer: 200 from the application, where `/healthz` is public, 401 without a token."""
    found: list[int] = []

    async def application(scope: Message, receive: Any, send: Any) -> None:
        found.append(200)

    async def send(message: Message) -> None:
        if "status" in message:
            found.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def run() -> None:
        async with DecisionPoint(NOWHERE, "asker") as pdp:
            app = Authorization(application, pdp, service="orders", public=frozenset({"/healthz"}))
            scope: Message = {"type": "http", "method": "GET", "path": path, "raw_path": raw_path, "headers": []}
            await app(scope, receive, send)

    asyncio.run(run())
    return found


@pytest.mark.parametrize(
    ("path", "raw_path", "status"),
    [
        ("/healthz", b"/healthz", 200),
        ("/healthz", b"/healthz?a=b", 200),
        ("/v1/orders/7", b"/v1/orders/7?x=/healthz", 401),
        ("/v1/é", b"/v1/%C3%A9", 401),
        ("/healthz", b"/v1/orders/7", 503),
        ("/v1/admin", b"/v1/orders/7", 503),
        ("/orders/7", b"/v1/orders/7", 503),
        ("/v1/orders/7", b"/v1/orders%2F7/", 503),
        ("/v1/orders/7", None, 503),
        ("/v1/é", "/v1/é".encode(), 503),
    ],
)
def test_a_path_is_the_one_that_was_sent(path: str, raw_path: bytes | None, status: int) -> None:
    assert statuses(path, raw_path) == [status]

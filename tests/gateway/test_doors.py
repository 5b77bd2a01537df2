"""Requests of gateways, which are recognised by their path, secret or address."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from app.http.door.forward_auth import with_gateways
from tests.gateway.in_process import NGINX, SECRET, Gateway, denial

pytestmark = pytest.mark.anyio


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path, networks=("192.0.2.0/24",))


@pytest.mark.parametrize(
    ("path", "headers", "detail"),
    [
        ("no-such-gateway", NGINX, "There is no such gateway profile."),
        ("", NGINX, "There is no such gateway profile."),
        ("/nginx", NGINX, "There is no such gateway profile."),
        ("NGINX", NGINX, "There is no such gateway profile."),
        ("nginx\xe9", NGINX, "There is no such gateway profile."),
    ],
)
async def test_an_unknown_profile_is_denied(
    gateway: Gateway, path: str, headers: tuple[tuple[str, str], ...], detail: str
) -> None:
    answer = await gateway.answer_to(path, *headers)
    assert (answer.status, answer.headers, answer.body) == (403, *denial(detail, detail))
    assert not await gateway.logged()


async def test_a_profile_with_header_requests_may_have_a_query(gateway: Gateway) -> None:
    assert (await gateway.answer_to("nginx", *NGINX, query="a=b")).status == 200
    answer = await gateway.answer_to("nginx/", *NGINX)
    assert answer.reason == "The path of this endpoint is /gateway/nginx, and nothing after it."


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [("", 200, None), ("a=/../b", 200, None), ("a#b", 403, "The URI has a fragment.")],
)
async def test_the_query_of_a_question_is_that_of_the_request(
    gateway: Gateway, query: str, status: int, reason: str | None
) -> None:
    answer = await gateway.answer_to("envoy/open", query=query)
    assert (answer.status, answer.reason) == (status, reason)


@pytest.mark.parametrize(
    ("client", "secret", "status"),
    [
        (("192.0.2.7", 1), None, 200),
        (("192.0.2.7", 1), SECRET[:-1], 403),
        (("192.0.3.7", 1), None, 403),
        (("192.0.3.7", 1), SECRET, 200),
        (("203.0.113.1", "192.0.2.7"), None, 403),
        (None, None, 403),
        (None, SECRET, 200),
    ],
)
async def test_a_gateway_is_known_by_its_secret_or_its_address(
    gateway: Gateway, client: tuple[str, Any] | None, secret: str | None, status: int
) -> None:
    with capture_logs() as lines:
        answer = await gateway.answer_to("envoy/open", secret=secret, client=client)
    assert answer.status == status
    if status == 403:
        unproven = "The gateway is not authenticated."
        assert (answer.headers, answer.body) == denial(unproven, unproven)
        assert [line["peer"] for line in lines] == [client[0] if client else None]
    else:
        assert not lines


async def test_a_websocket_question_is_refused(gateway: Gateway) -> None:
    upgraded = "A gateway must send a plain HTTP request: remove the header `Upgrade`."
    answer = await gateway.answer_to("envoy/open", type="websocket", extensions={"websocket.http.response": {}})
    assert (answer.status, answer.headers, answer.body) == (403, *denial(upgraded, upgraded))


@pytest.mark.parametrize(
    ("raw_path", "is_asked"),
    [
        (b"/gateway/nginx", True),
        (b"/gateway/", True),
        (b"/gateway", False),
        (b"/gateways/nginx", False),
        (b"/api/gateway/nginx", False),
        (b"/%67ateway/nginx", False),
        (b"", False),
        (None, False),
    ],
)
async def test_the_doors_of_gateways_are_those_of_their_paths(
    gateway: Gateway, raw_path: bytes | None, is_asked: bool
) -> None:
    reached: list[Any] = []
    sent: list[Any] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        reached.append(scope)

    async def receive() -> Any:
        raise AssertionError("no body is read")

    async def send(message: Any) -> None:
        sent.append(message)

    scope: Any = {"type": "lifespan"} if raw_path is None else {"type": "http", "method": "GET", "raw_path": raw_path}
    scope.update(headers=[], query_string=b"")
    await with_gateways(app, gateway.door)(scope, receive, send)
    assert (len(reached), len(sent)) == ((0, 2) if is_asked else (1, 0))

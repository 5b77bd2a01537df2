"""Requests for WebSockets on uvicorn: those with a body, and those on a connection that was used before."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from app.cli.server.on_uvicorn import serve_in_thread

UPGRADE = (
    b"%s /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
GET = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def paths() -> list[str]:
    """The paths of the WebSockets that the application accepted."""
    return []


@pytest.fixture
def connection(paths: list[str]) -> Iterator[socket.socket]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            paths.append(scope["path"])
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        serve_in_thread(app, listener),
        socket.create_connection(listener.getsockname(), timeout=10) as opened,
    ):
        yield opened


def status(connection: socket.socket) -> bytes:
    """The status of the next answer, whose head arrives at once."""
    return connection.recv(65_536).split(b" ")[1]


@pytest.mark.parametrize(
    "more",
    [b"Content-Length: 2\r\n", b"Content-Length: 00\r\n", b"Transfer-Encoding: chunked\r\n"],
    ids=["2", "00", "chunked"],
)
@pytest.mark.parametrize("method", [b"GET", b"POST"], ids=["GET", "POST"])
def test_a_request_with_a_body_is_refused(
    connection: socket.socket, paths: list[str], method: bytes, more: bytes
) -> None:
    connection.sendall(UPGRADE % (method, more))
    assert status(connection) == b"400"
    while connection.recv(65_536):
        """It ends."""
    assert not paths


@pytest.mark.parametrize("more", [b"", b"Content-Length: 0\r\n"], ids=["none", "0"])
@pytest.mark.parametrize("used", [False, True])
def test_one_without_a_body_reaches_the_application(
    connection: socket.socket, paths: list[str], more: bytes, *, used: bool
) -> None:
    if used:
        connection.sendall(GET)
        assert status(connection) == b"200"
    connection.sendall(UPGRADE % (b"GET", more))
    assert status(connection) == b"101"
    assert paths == ["/live"]

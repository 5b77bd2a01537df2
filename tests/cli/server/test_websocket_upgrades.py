"""Requests for WebSockets on uvicorn: with a body, on a connection that was used before, and how many a peer has."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from app.cli.server.limits import ConnectionLimits
from app.cli.server.on_uvicorn import serve_in_thread
from tests.support.server import eventually

UPGRADE = (
    b"%s /live HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n"
)
PER_PEER = 2
GET = b"GET /before HTTP/1.1\r\nHost: a\r\n\r\n"


@pytest.fixture
def paths() -> list[str]:
    """The paths of the WebSockets that the application accepted."""
    return []


@pytest.fixture
def connect(paths: list[str]) -> Iterator[Callable[[], socket.socket]]:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "websocket":
            await receive()
            paths.append(scope["path"])
            await send({"type": "websocket.accept"})
            await receive()
            return
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        serve_in_thread(app, listener, ConnectionLimits(connections_per_peer=PER_PEER)),
        ExitStack() as opened,
    ):
        yield lambda: opened.enter_context(socket.create_connection(listener.getsockname(), timeout=10))


@pytest.fixture
def connection(connect: Callable[[], socket.socket]) -> socket.socket:
    return connect()


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


def test_an_open_websocket_counts_among_the_connections_of_its_peer(connect: Callable[[], socket.socket]) -> None:
    def answer() -> tuple[bytes, socket.socket]:
        connection = connect()
        connection.sendall(UPGRADE % (b"GET", b""))
        return status(connection), connection

    opened = [answer() for _ in range(PER_PEER)]
    assert [each for each, _ in opened] == [b"101"] * PER_PEER
    assert answer()[0] == b"429"
    opened[0][1].close()
    assert eventually(lambda: answer()[0] == b"101")
    assert answer()[0] == b"429"

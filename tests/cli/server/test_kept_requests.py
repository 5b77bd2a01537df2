"""What uvicorn keeps of a request that was answered, while its connection is idle and when it has ended."""

from __future__ import annotations

import gc
import socket
import struct
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import pytest

from app.cli.server.on_uvicorn import serve_in_thread
from app.cli.server.uvicorn_limits import LimitedProtocol
from tests.support.server import eventually

UNREAD = b"x" * 50_000


class Decoded:
    """What an application stores in the scope, such as a decoded body."""


class Served:
    """An application that answers without reading the body, and what it stored."""

    def __init__(self) -> None:
        self.stored: list[ref[Decoded]] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        decoded = Decoded()
        scope["state"]["decoded"] = decoded
        self.stored.append(ref(decoded))
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})


def protocols() -> list[LimitedProtocol]:
    return [each for each in gc.get_objects() if isinstance(each, LimitedProtocol)]


@pytest.fixture
def served() -> Served:
    return Served()


@pytest.fixture
def connect(served: Served) -> Iterator[Callable[[], socket.socket]]:
    gc.collect()
    gc.disable()
    opened: list[socket.socket] = []

    def new() -> socket.socket:
        opened.append(socket.create_connection(listener.getsockname()))
        return opened[-1]

    with socket.create_server(("127.0.0.1", 0)) as listener, serve_in_thread(served, listener):
        yield new
        for each in opened:
            each.close()
    gc.enable()


def ask(connection: socket.socket, times: int = 1) -> None:
    """Send requests at once, each with a long field and a body, and read the answers."""
    head = b"POST /%s HTTP/1.1\r\nHost: a\r\nX-Long: %s\r\nContent-Length: %d\r\n\r\n"
    connection.sendall((head % (b"p" * 500, b"l" * 5_000, len(UNREAD)) + UNREAD) * times)
    received = b""
    while received.count(b"\r\n\r\n") < times:
        received += connection.recv(65_536)
    assert received.count(b"HTTP/1.1 401") == times


@pytest.mark.parametrize("times", [1, 3])
def test_an_idle_connection_keeps_nothing_of_its_requests(
    served: Served, connect: Callable[[], socket.socket], times: int
) -> None:
    ask(connect(), times)
    (protocol,) = protocols()
    assert eventually(lambda: all(stored() is None for stored in served.stored))
    assert len(served.stored) == times
    assert eventually(lambda: (protocol.headers, protocol.url, bytes(protocol.cycle.body)) == ([], b"", b""))


@pytest.mark.parametrize("reset", [False, True])
def test_nothing_is_kept_of_a_connection_that_has_ended(
    served: Served, connect: Callable[[], socket.socket], *, reset: bool
) -> None:
    connection = connect()
    ask(connection)
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()
    assert eventually(lambda: not protocols())

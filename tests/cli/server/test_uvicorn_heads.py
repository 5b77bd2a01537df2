"""The bounds on a request's head on uvicorn, exact to the field and nearly to the byte, however its bytes arrive."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from app.cli.server.limits import ConnectionLimits
from app.cli.server.peer_connections import PeerConnections
from app.cli.server.uvicorn_limits import LimitedProtocol

pytestmark = pytest.mark.anyio
LIMITS = ConnectionLimits(target_bytes=500, head_bytes=20_000, head_fields=30)
_LINE_BYTES = 4


class _Transport(asyncio.Transport):
    """Takes what is written, and names its protocol."""

    def __init__(self) -> None:
        super().__init__({"peername": ("127.0.0.1", 1), "sockname": ("127.0.0.1", 2)})
        self.written = b""
        self.protocol: asyncio.BaseProtocol | None = None
        self.ended = False

    def write(self, data: Any) -> None:
        self.written += data

    def get_protocol(self) -> asyncio.BaseProtocol:
        assert self.protocol is not None
        return self.protocol

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    def abort(self) -> None:
        self.ended = True

    def can_write_eof(self) -> bool:
        return False

    def pause_reading(self) -> None:
        """Everything is fed by the test."""

    def resume_reading(self) -> None:
        """Likewise."""


async def _statuses(data: bytes, pieces: random.Random) -> tuple[list[int], list[list[tuple[bytes, bytes]]]]:
    """The statuses of the answers on a connection, and the headers of the requests that reached the application."""
    reached: list[list[tuple[bytes, bytes]]] = []

    async def app(scope: Any, _receive: Any, send: Any) -> None:
        reached.append(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    config = Config(app, log_config=None, lifespan="off", interface="asgi3", access_log=False)
    config.load()
    state = ServerState()
    protocol = LimitedProtocol(
        config=config, server_state=state, app_state={}, limits=LIMITS, peers=PeerConnections(LIMITS)
    )
    transport = _Transport()
    transport.protocol = protocol
    protocol.connection_made(transport)
    while data:
        length = pieces.choice((1, 100, 300, 5_000, 16_384, 16_385, 70_000))
        protocol.data_received(data[:length])
        data = data[length:]
        for _ in range(3):
            await asyncio.sleep(0)
    for _ in range(3):
        await asyncio.sleep(0)
    protocol.connection_lost(None)
    found = [int(line.split(b" ")[1]) for line in transport.written.split(b"\r\n") if line.startswith(b"HTTP/1.1 ")]
    return found, reached


def _head(draw: random.Random, fields: int, size: int) -> tuple[bytes, list[tuple[bytes, bytes]]]:
    """A head with so many fields and bytes."""
    url = b"/" + b"a" * draw.randrange(400)
    names = [b"X-%d" % number for number in range(fields)]
    room = size - len(url) - sum(len(name) + _LINE_BYTES for name in names)
    cuts = sorted(draw.randrange(room + 1) for _ in range(fields - 1)) if fields else []
    lengths = [end - start for start, end in zip([0, *cuts], [*cuts, room], strict=True)] if fields else []
    headers = [(name, b"v" * length) for name, length in zip(names, lengths, strict=True)]
    lines = b"".join(name + b": " + value + b"\r\n" for name, value in headers)
    return b"GET " + url + b" HTTP/1.1\r\n" + lines + b"\r\n", [(name.lower(), value) for name, value in headers]


async def test_a_head_is_bounded_by_its_fields_and_bytes_however_it_arrives() -> None:
    draw = random.Random(7)
    outcomes = set()
    for _ in range(150):
        fields = draw.choice((1, 29, 30, 31, 32, 60))
        size = draw.choice((1_000, 19_900, LIMITS.head_bytes + 1, LIMITS.head_bytes + 400, 40_000))
        head, headers = _head(draw, fields, size)
        before = draw.choice((0, 0, 1, 2))  # requests on the same connection
        first = b"GET /first HTTP/1.1\r\nHost: a\r\n\r\n"
        statuses, reached = await _statuses(first * before + head, draw)
        fits = fields <= LIMITS.head_fields and size <= LIMITS.head_bytes
        # Requests that have not begun when the connection is refused are not answered.
        expected = [200] * (before + 1) if fits else [*[200] * (len(statuses) - 1), 431]
        assert statuses == expected, (fields, size, before)
        assert (headers in reached) is fits
        outcomes.add((fits, fields > LIMITS.head_fields, before))
    assert len(outcomes) >= 8


async def test_trailers_are_bounded_and_never_become_headers() -> None:
    draw = random.Random(8)
    for count, size in ((0, 0), (1, 100), (30, 4_000), (31, 4_000), (2, 15_000), (3, 30_000)):
        trailers = b"".join(b"X-%d: %s\r\n" % (number, b"v" * (size // count)) for number in range(count))
        data = b"POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n" + trailers + b"\r\n"
        statuses, reached = await _statuses(data, draw)
        assert all(headers == [(b"transfer-encoding", b"chunked")] for headers in reached)
        if count <= LIMITS.head_fields and size < LIMITS.head_bytes - 200:
            assert statuses == [200]

"""Limits on what one connection takes of a uvicorn server: bytes of a request's head, time, and connections of a peer.

uvicorn does not document its protocol class. All that depends on it is in this module: the callbacks of its protocol on
httptools, and its `cycle` with `body` and `scope`, its `headers`, `url`, `scope`, `pipeline`, `flow`,
`timeout_keep_alive_task` and `send_400_response`. The tests of these limits in tests/cli/server fail if their meaning
changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any
from weakref import ref

import structlog
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from app.cli.server.limits import LINE_BYTES, ConnectionLimits, max_connections
from app.cli.server.peer_connections import PeerConnections
from app.cli.server.uvicorn_refusals import ERRORS, STATUSES, answer, detail_of
from app.http.door.budgets import TOO_MANY
from app.http.door.server_refusals import (
    LARGE_HEAD,
    LATE_BODY,
    LATE_HEAD,
    LONG_TARGET,
    MALFORMED,
    NO_ANSWER,
    NO_DESCRIPTORS,
    SERVER_REFUSALS,
    SMALL_CHUNKS,
    note_refusal,
)

_CHUNK_BYTES = 12  # of the line of a chunk's size, without extensions, and of the line that ends the chunk
_PIECE_BYTES = 16_384
_LEAST_PIECE_BYTES = 256  # in which there are no more than some fourteen requests
_END_OF_HEAD = b"\r\n\r\n"
_MAX_DISCARDED = 16_000_000  # bytes that a refused client may go on sending, so that it reads its answer
_LINGER_SECONDS = 1.0
_DISCARD_SECONDS = 0.01  # between two reads of it
_log = structlog.stdlib.get_logger("server")  # which leaves out the lines of a flood


class _PipelineFlow(FlowControl):
    """Reads nothing while pipelined requests wait.

    uvicorn itself reads on with each answer and each wait for a body, and would take up any number of requests.
    """

    def __init__(self, transport: asyncio.Transport, protocol: LimitedProtocol) -> None:
        super().__init__(transport)
        # Without a reference cycle, in which an ended connection would stay with its last request.
        self._protocol = ref(protocol)

    def resume_reading(self) -> None:
        protocol = self._protocol()
        if self.read_paused and not (protocol and protocol.requests_wait):
            super().resume_reading()


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol, within limits."""

    def __init__(self, *args: Any, limits: ConnectionLimits, peers: PeerConnections, **more: Any) -> None:
        super().__init__(*args, **more)
        self.logger = ERRORS
        self._limits = limits
        self._peers = peers
        self._peer: str | None = None
        self._answering: RequestResponseCycle | None = None  # of pipelined requests the first; `cycle` is the last
        self._in_head = True  # or before it
        self._is_idle = True  # no request is incomplete
        self._uncounted = 0  # bytes received of a head that is not complete, or of what frames a body
        self._trailer_bytes = self._trailers = self._body_bytes = self._body_pieces = 0
        self._head_began = False
        self._reason = MALFORMED  # of a refusal
        self._discarding = False
        self._discarded = 0
        self._unparsed = b""  # of pipelined requests
        self._deadline: asyncio.TimerHandle | None = None
        self._progress_at = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn states it
        """Refuse a connection beyond the limit of its peer."""
        super().connection_made(transport)
        self.flow = _PipelineFlow(transport, self)
        if len(self.connections) > max_connections():
            # At once and without an answer: each descriptor counts.
            self._discarding = True
            SERVER_REFUSALS[NO_DESCRIPTORS] += 1
            _log.warning("a connection was ended because few file descriptors are left", limit=max_connections())
            transport.abort()
            return
        self._peer = self._peers.open(self.client[0] if self.client else None)
        if self._peer is None:
            self._refuse(HTTPStatus.TOO_MANY_REQUESTS, TOO_MANY)  # which `open` has counted
            return
        self._expect_within(self._limits.idle_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection, with all of its requests."""
        self._leave()
        self._abandon_requests()
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:  # after a reset: uvicorn's timer would keep the connection
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def data_received(self, data: bytes) -> None:
        """Take bytes, and answer with an error when the head is too large."""
        if self._discarding:
            self._discard(len(data))
        elif self.pipeline or self._unparsed:
            self._keep_unparsed(data)
        elif len(data) <= _PIECE_BYTES and data.find(_END_OF_HEAD, _LEAST_PIECE_BYTES) in (-1, len(data) - 4):
            self._parse_piece(data)  # the only one
        else:
            self._parse(data)

    @property
    def requests_wait(self) -> bool:
        """Whether pipelined requests have arrived behind the one that is being answered, whose body is complete."""
        return bool(self.pipeline or self._unparsed)

    def _parse(self, data: bytes) -> None:
        """Parse in pieces: what is counted after each is known to that many bytes, and few requests begin in one.

        No further one is parsed while a pipelined request waits.
        """
        start = 0
        while start < len(data) and not self._discarding and self.transport.get_protocol() is self:
            if self.pipeline:
                self._keep_unparsed(data[start:])
                return
            end = data.find(_END_OF_HEAD, start + _LEAST_PIECE_BYTES, start + _PIECE_BYTES)
            end = start + _PIECE_BYTES if end < 0 else end + len(_END_OF_HEAD)
            self._parse_piece(data[start:end])
            start = end

    def _parse_piece(self, data: bytes) -> None:
        self._uncounted += len(data)
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and not self._uncounted:  # it ended with a request
            return
        if self._discarding or self.transport.is_closing() or self.transport.get_protocol() is not self:
            return
        if self._uncounted > self._limits.head_bytes:
            self._reason = LARGE_HEAD
            self.send_400_response("")
        elif not self._in_head:
            self._progress_at = self.loop.time()
            if self._deadline is None:
                self._expect_within(self._limits.body_seconds)
        elif self._uncounted and not self._head_began:
            self._head_began = True
            self._expect_within(self._limits.head_seconds)

    def _keep_unparsed(self, data: bytes) -> None:
        """Keep bytes until the requests before them are answered. No more are read, so this is one read of them."""
        self.flow.pause_reading()
        self._unparsed += data

    def _discard(self, received: int) -> None:
        """Discard what a refused client goes on sending, slowly: others have their turns meanwhile."""
        self._discarded += received
        if self._discarded > _MAX_DISCARDED:
            self.transport.abort()
        elif not self.transport.is_closing():
            self.flow.pause_reading()
            self.loop.call_later(_DISCARD_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if not self.transport.is_closing():
            self.flow.resume_reading()

    def on_message_begin(self) -> None:
        """Begin with a head."""
        self._is_idle = False
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """Bound the request target."""
        self.url += url
        if len(self.url) > self._limits.target_bytes:
            self._stop_parsing(LONG_TARGET)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Bound the fields, and drop trailers: they must not become headers (RFC 9110 section 6.5.1)."""
        if not self._in_head:
            self._trailer_bytes += len(name) + len(value) + LINE_BYTES
            self._trailers += 1
            if self._trailers > self._limits.head_fields or self._trailer_bytes > self._limits.head_bytes:
                self._stop_parsing(LARGE_HEAD)
            return
        # As uvicorn does. Calls for each field would take twice the time.
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        headers = self.headers
        headers.append((name, value))
        if len(headers) > self._limits.head_fields:
            self._stop_parsing(LARGE_HEAD)

    def on_headers_complete(self) -> None:
        """Bound the bytes of the head, and begin with the body."""
        # At most, so that it is rarely added up: a piece in which another request ended is not counted.
        received = self._uncounted + _PIECE_BYTES + len(self.headers)
        if received > self._limits.head_bytes and self._complete_head_bytes() > self._limits.head_bytes:
            self._stop_parsing(LARGE_HEAD)
        self._in_head = self._head_began = False
        self._uncounted = 0
        self._expect_nothing()
        super().on_headers_complete()
        if not self.pipeline:
            self._answering = self.cycle

    def _complete_head_bytes(self) -> int:
        return len(self.url) + sum(len(name) + len(value) + LINE_BYTES for name, value in self.headers)

    def on_response_complete(self) -> None:
        """Go on with the next of pipelined requests."""
        if self.pipeline:
            self._answering = self.pipeline[-1][0]
        super().on_response_complete()
        self._forget_answered()
        if not self._unparsed or self.pipeline or self.transport.is_closing():
            return
        data, self._unparsed = self._unparsed, b""
        self.flow.resume_reading()
        self._parse(data)

    def on_body(self, body: bytes) -> None:
        """Do not count the body itself, but the pieces in which it arrives."""
        size = len(body)
        self._uncounted -= size
        self._body_bytes += size
        self._body_pieces += 1
        if self._body_pieces > self._limits.pieces_of(self._body_bytes):
            self._stop_parsing(SMALL_CHUNKS)
        super().on_body(body)

    def on_chunk_complete(self) -> None:
        """Do not count a chunk's size; its extensions count."""
        self._uncounted -= _CHUNK_BYTES

    def on_message_complete(self) -> None:
        """Expect the next head."""
        self._in_head = self._is_idle = True
        self._uncounted = self._trailer_bytes = self._trailers = self._body_bytes = self._body_pieces = 0
        self._expect_nothing()
        super().on_message_complete()
        if not self.parser.should_upgrade():  # such a request has no cycle, and is passed on with its target
            self._forget_answered()

    def _forget_answered(self) -> None:
        """Keep nothing of a request that was answered, since its connection may stay idle for long."""
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request that is not for a WebSocket
        if not self._is_idle or cycle is None or not cycle.response_complete:
            return
        self.headers, self.url = [], b""
        # In it is the body as Litestar has read and decoded it.
        self.scope = cycle.scope = {}  # type: ignore[typeddict-item]  # neither is read any more
        if cycle.body:
            cycle.body = bytearray()  # what the application did not read

    def handle_websocket_upgrade(self) -> None:
        """Leave the connection to the protocol of WebSockets, if the request has no body.

        That protocol would wait without end for a body, which was read here.
        """
        if any(
            name == b"transfer-encoding" or (name == b"content-length" and value != b"0")
            for name, value in self.headers
        ):
            self._reason = MALFORMED
            self.send_400_response("")
            return
        self._expect_nothing()
        peer, self._peer = self._peer, None
        super().handle_websocket_upgrade()
        if peer is not None:
            _call_when_lost(self.transport.get_protocol(), partial(self._peers.close, peer))

    def send_400_response(self, msg: str) -> None:
        """Answer what cannot be parsed, or is too large."""
        self._refuse_request(STATUSES[self._reason], detail_of(self._reason), self._reason)

    def _stop_parsing(self, reason: str) -> None:
        self._reason = reason
        raise ValueError(reason)  # ends the parser, and uvicorn calls `send_400_response`

    def _refuse_request(self, status: HTTPStatus, detail: str, reason: str) -> None:
        """Answer with an error, count it and log it."""
        client = self._limits.client_of(self.client[0]) if self.client else None
        note_refusal(reason, status if self._refuse(status, detail) else NO_ANSWER, client)

    def _refuse(self, status: HTTPStatus, detail: str) -> bool:
        """Answer with an error, and read on for a moment: to close at once would reset what the client reads.

        Without an answer, and False, if another one has begun.
        """
        self._expect_nothing()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self._discarding = True
        if self._abandon_requests():
            self.transport.close()
            return False
        self.flow.resume_reading()
        self.transport.write(answer(status, detail))
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self._deadline = self.loop.call_later(_LINGER_SECONDS, self.transport.close)
        return True

    def _abandon_requests(self) -> bool:
        """Begin with none of pipelined requests, and send nothing more of an answer; whether one was begun.

        uvicorn knows of the last request alone, and the transport takes nothing behind its end.
        """
        self.pipeline.clear()
        self._unparsed = b""
        answering = self._answering
        if answering is None or answering.response_complete:
            return False
        answering.disconnected = True
        answering.waiting_for_100_continue = False
        answering.message_event.set()  # for which the application may wait with the rest of a body
        return answering.response_started

    def _expect_within(self, seconds: float) -> None:
        self._expect_nothing()
        self._deadline = self.loop.call_later(seconds, self._end_slow_request)

    def _expect_nothing(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _end_slow_request(self) -> None:
        self._deadline = None
        if self.transport.is_closing():
            return
        if not self._in_head:
            late = self._progress_at + self._limits.body_seconds - self.loop.time()
            # While the application does not read, the client cannot go on.
            if self.flow.read_paused or late > 0:
                self._expect_within(self._limits.body_seconds if self.flow.read_paused else late)
                return
            if self.cycle is not None and self.cycle.response_complete:
                self.transport.close()  # the request has its answer, although its body is not complete
                return
        elif not self._uncounted:
            self.transport.close()  # a connection on which nothing was ever sent
            return
        reason = LATE_HEAD if self._in_head else LATE_BODY
        self._refuse_request(HTTPStatus.REQUEST_TIMEOUT, "The request did not arrive in time.", reason)

    def _leave(self) -> None:
        self._expect_nothing()
        if self._peer is not None:
            self._peers.close(self._peer)
            self._peer = None


def _call_when_lost(protocol: asyncio.BaseProtocol, call: Callable[[], None]) -> None:
    """Call something when the connection of a protocol of uvicorn's own choice has ended."""
    lost = protocol.connection_lost

    def connection_lost(error: Exception | None) -> None:
        del protocol.connection_lost  # a reference cycle
        call()
        lost(error)

    protocol.connection_lost = connection_lost  # type: ignore[assignment, method-assign]

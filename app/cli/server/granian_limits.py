"""Limits on requests to a granian server that granian itself does not have.

Granian bounds the bytes of a head that is not complete, and the extensions of chunks. Its one timeout, for a head that
is not complete and for an idle connection, is that of idle connections: see `granian_connections` for heads.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus

from litestar.types import ASGIApp, Message, Receive, ReceiveMessage, Scope, Send

from app.cli.server.granian_connections import Client
from app.cli.server.limits import LINE_BYTES, ConnectionLimits
from app.http.door.draining import CLOSE
from app.http.door.refusal import refusal
from app.http.door.server_refusals import (
    LARGE_HEAD,
    LATE_BODY,
    LONG_TARGET,
    SMALL_CHUNKS,
    SMALL_CHUNKS_DETAIL,
    note_refusal,
)
from app.http.wire.scope_types import HTTP

_REFUSALS = {
    LATE_BODY: refusal(HTTPStatus.REQUEST_TIMEOUT.value, "The request did not arrive in time.", CLOSE),
    SMALL_CHUNKS: refusal(HTTPStatus.BAD_REQUEST.value, SMALL_CHUNKS_DETAIL, CLOSE),
}


def within_limits(app: ASGIApp, limits: ConnectionLimits, busy: set[Client]) -> ASGIApp:
    """Wrap the application: refuse requests beyond the limits, and record clients with a request as `busy`."""

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != HTTP:
            await app(scope, receive, send)
            return
        target = len(scope["raw_path"]) + len(scope["query_string"])
        head = target + sum([len(name) + len(value) + LINE_BYTES for name, value in scope["headers"]])
        address, port = scope["client"] or ("", 0)
        excess = (
            (HTTPStatus.REQUEST_URI_TOO_LONG, LONG_TARGET)
            if target > limits.target_bytes
            else (HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, LARGE_HEAD)
            if head > limits.head_bytes
            else None
        )
        if excess is not None:
            status, reason = excess
            note_refusal(reason, status, limits.client_of(address))
            await refusal(status.value, f"{status.phrase}.", CLOSE).send(scope, receive, send)
            return
        body = _Body(receive, send, limits, address)
        client = address, str(port)
        busy.add(client)
        try:
            await app(scope, body.receive, body.send)
        finally:
            busy.discard(client)

    return limited


class _Body:
    """Receives the body of a request from `address`, and refuses one that is late or in too many small chunks."""

    __slots__ = ("_address", "_bytes", "_ended", "_limits", "_pieces", "_reason", "_receive", "_replaced", "_send")

    def __init__(self, receive: Receive, send: Send, limits: ConnectionLimits, address: str) -> None:
        self._receive = receive
        self._send = send
        self._limits = limits
        self._address = address
        self._pieces = self._bytes = 0
        self._reason = ""  # of a refusal
        self._ended = self._replaced = False

    async def receive(self) -> ReceiveMessage:
        if self._ended:
            return await self._receive()
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                message = await self._receive()
        except TimeoutError:
            return self._refuse(LATE_BODY)
        if message["type"] != "http.request":
            self._ended = True
            return message
        self._ended = not message["more_body"]
        size = len(message["body"])
        self._bytes += size
        self._pieces += size > 0
        if self._pieces > self._limits.pieces_of(self._bytes):
            return self._refuse(SMALL_CHUNKS)
        return message

    async def send(self, message: Message) -> None:
        if not self._reason:
            await self._send(message)
        elif message["type"] == "http.response.start":
            # The application saw a client that had gone. Its answer is about that, and its request id is kept.
            answer = _REFUSALS[self._reason]
            message["status"] = answer.status
            replaced = {name for name, _ in answer.headers}
            kept = [each for each in message["headers"] if each[0].lower() not in replaced]
            message["headers"] = [*answer.headers, *kept]
            self._replaced = True
            note_refusal(self._reason, answer.status, self._limits.client_of(self._address))
            await self._send(message)
        elif not self._replaced:  # it answers before the body ends
            await self._send(message)
        elif message["type"] == "http.response.body" and not message.get("more_body", False):
            body = _REFUSALS[self._reason].body
            await self._send({"type": "http.response.body", "body": body, "more_body": False})

    def _refuse(self, reason: str) -> ReceiveMessage:
        self._ended = True
        self._reason = reason
        return {"type": "http.disconnect"}

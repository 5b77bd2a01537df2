"""Request ids in responses and log records.

Plain ASGI around the whole application, so that responses which no handler made have a request id too.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable
from operator import itemgetter
from random import getrandbits
from time import perf_counter_ns, time_ns

from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.audit.sanitize import without_secrets
from app.http.door.access_log import HEADERS, AccessLog, Headers
from app.http.door.draining import CLOSE, draining
from app.http.door.traffic import CountedRequest, Traffic
from app.http.wire.litestar_private import RESPONSE_STARTED
from app.metrics.requests import Requests

HEADER = b"x-request-id"
_ACCEPTED = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_READ = HEADERS | {HEADER}
_name_of = itemgetter(0)


def with_request_id(app: ASGIApp, access_log: AccessLog | None, requests: Requests, traffic: Traffic) -> ASGIApp:
    """Give each request the caller's `X-Request-ID` if it is plain text without a secret, else a new id.

    `requests` records the duration of each request, and `traffic` counts those whose response has not started and that
    wait for no part of their body. With an `access_log` each request is logged.
    """

    known = requests.known

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" not in scope:  # lifespan
            await app(scope, receive, send)
            return
        read: Headers = ()
        if not _READ.isdisjoint(map(_name_of, scope["headers"])):
            read = [header for header in scope["headers"] if header[0] in _READ]
        request_id = (_sent_id(read) if read else None) or _new_id()
        logs.request_id.set(request_id)
        header = (HEADER, request_id.encode())
        state = scope.setdefault("state", {})
        status = 0
        counted = CountedRequest(traffic, receive)
        started = perf_counter_ns()

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.body":  # the most frequent type
                return send(message)
            if message["type"] == "http.response.start" or message["type"] == "websocket.http.response.start":
                if not status:
                    counted.end()
                    state[RESPONSE_STARTED] = True
                status = message["status"]
                headers = [*message["headers"], header]
                message["headers"] = [*headers, CLOSE] if draining.begun else headers
            elif message["type"] == "websocket.accept":
                counted.end()
                status = 101
                message["headers"] = [*message["headers"], header]
            return send(message)

        try:
            await app(scope, counted.receive, send_with_id)
        finally:
            counted.end()
            ended = perf_counter_ns()
            took = ended - started
            try:
                known[scope["path_template"]][status].append(took)
            except KeyError:
                requests.first(scope.get("path_template"), status).append(took)
            if access_log is not None:
                access_log.note(scope, read, request_id, status, ended=ended, took=took)

    return identified


def _new_id() -> str:
    """An id of 24 hexadecimal digits. The first 14 are the time, so that new ids go to the end of a database index."""
    number = time_ns() // 1000 << 40 | getrandbits(40)  # not a secret
    return number.to_bytes(12, "big").hex()  # three times as fast as formatting


def _sent_id(headers: Headers) -> str | None:
    found: bytes | None = None
    for name, value in headers:
        if name == HEADER:
            if found is not None:
                return None
            found = value
    if found is None or not _ACCEPTED.fullmatch(found):
        return None
    text = found.decode()
    return text if without_secrets(text) == text else None

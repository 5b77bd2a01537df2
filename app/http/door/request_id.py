"""A request id on every answer and log line, and one access line for each request.

Plain ASGI around the whole application, so that answers which no handler made have one too.
"""

from __future__ import annotations

import random
import re
import time
from collections.abc import Awaitable

import structlog
from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from app import logs
from app.audit.sanitize import without_secrets
from app.gateway.proxies import TrustedProxies
from app.http.door.draining import CLOSE, draining
from app.http.door.traffic import Traffic
from app.metrics.requests import Requests

HEADER = b"x-request-id"
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_ACCEPTED = re.compile(rb"[A-Za-z0-9._:/+=-]{1,128}")
_log = structlog.stdlib.get_logger("access")


def with_request_id(app: ASGIApp, access_log: TrustedProxies | None, requests: Requests, traffic: Traffic) -> ASGIApp:
    """Give each request the caller's own `X-Request-ID` when it is plain text without a secret, else a new one.

    `requests` counts each with its duration, and `traffic` those without an answer so far. With `access_log` each has a
    line, with the client behind those proxies.
    """

    known = requests.known

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" not in scope:  # lifespan
            await app(scope, receive, send)
            return
        request_id = _stated(scope) or _new()
        logs.request_id.set(request_id)
        header = (HEADER, request_id.encode())
        started = time.perf_counter_ns()
        status = 0
        traffic.requests += 1

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.body":  # the most frequent
                return send(message)
            if message["type"] == "http.response.start" or message["type"] == "websocket.http.response.start":
                if not status:
                    traffic.leave()
                status = message["status"]
                headers = [*message["headers"], header]
                message["headers"] = [*headers, CLOSE] if draining.begun else headers
            elif message["type"] == "websocket.accept":
                traffic.leave()
                status = 101
                message["headers"] = [*message["headers"], header]
            return send(message)

        try:
            await app(scope, receive, send_with_id)
        finally:
            if not status:
                traffic.leave()
            took = time.perf_counter_ns() - started
            try:
                known[scope["path_template"]][status].append(took)
            except KeyError:
                requests.first(scope.get("path_template"), status).append(took)
            if access_log is not None:
                _note(scope, status, took / 1e6, access_log)

    return identified


def _new() -> str:
    """24 hexadecimal digits, of which 14 tell the time, so that the log's index of them grows at its end alone."""
    number = (time.time_ns() // 1000) << 40 | random.getrandbits(40)  # a name, no secret
    return number.to_bytes(12, "big").hex()  # a third of the time that formatting takes


def _stated(scope: Scope) -> str | None:
    found: bytes | None = None
    for name, value in scope["headers"]:
        if name == HEADER:
            if found is not None:
                return None
            found = value
    if found is None or not _ACCEPTED.fullmatch(found):
        return None
    text = found.decode()
    return text if without_secrets(text) == text else None


def _note(scope: Scope, status: int, milliseconds: float, proxies: TrustedProxies) -> None:
    """One line. The path is the raw one, percent-encoded, so that nothing a caller sends can forge a line."""
    principal = scope.get("user")
    peer = scope.get("client")
    _log.info(
        "request",
        method="WEBSOCKET" if scope["type"] == ScopeType.WEBSOCKET else scope["method"],
        # Someone will put a key into a path one day, or into the `sub` of a token.
        path=without_secrets(scope.get("raw_path", b"").decode("ascii", "backslashreplace")),
        status=status,
        client=proxies.client_of(peer[0] if peer else None, scope["headers"]),
        milliseconds=round(milliseconds, 2),
        subject=without_secrets(getattr(principal, "subject", "")) or None,
        key_id=getattr(principal, "key_id", None),
        auth_method=getattr(principal, "method", None),
        **({} if logs.trace.get() else _trace_of(scope)),
        **({"asked": without_secrets(asked)} if (asked := scope.get("state", {}).get("asked")) else {}),
    )


def _trace_of(scope: Scope) -> dict[str, str]:
    """The id of the caller's trace (W3C Trace Context section 3.2), where requests are not traced here."""
    match [value for name, value in scope["headers"] if name == b"traceparent"]:
        case [value] if stated := _TRACEPARENT.fullmatch(value):
            return {"trace_id": stated[1].decode()}
    return {}

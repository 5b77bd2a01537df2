"""Request ids in responses and log records, and the access log.

Plain ASGI around the whole application, so that responses which no handler made have a request id too.
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
    """Give each request the caller's `X-Request-ID` if it is plain text without a secret, else a new id.

    `requests` records the duration of each request, and `traffic` counts those whose response has not started. With
    `access_log` each request is logged, with the address of the client behind those proxies.
    """

    known = requests.known

    async def identified(scope: Scope, receive: Receive, send: Send) -> None:
        if "headers" not in scope:  # lifespan
            await app(scope, receive, send)
            return
        request_id = _sent_id(scope) or _new_id()
        logs.request_id.set(request_id)
        header = (HEADER, request_id.encode())
        started = time.perf_counter_ns()
        status = 0
        traffic.requests += 1

        def send_with_id(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.body":  # the most frequent type
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
                _log_access(scope, status, took / 1e6, access_log)

    return identified


def _new_id() -> str:
    """An id of 24 hexadecimal digits. The first 14 are the time, so that new ids go to the end of a database index."""
    number = (time.time_ns() // 1000) << 40 | random.getrandbits(40)  # not a secret
    return number.to_bytes(12, "big").hex()  # three times as fast as formatting


def _sent_id(scope: Scope) -> str | None:
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


def _log_access(scope: Scope, status: int, milliseconds: float, proxies: TrustedProxies) -> None:
    """Log a request. The path is the raw one, percent-encoded, so that a caller cannot forge log lines."""
    principal = scope.get("user")
    peer = scope.get("client")
    _log.info(
        "request",
        method="WEBSOCKET" if scope["type"] == ScopeType.WEBSOCKET else scope["method"],
        # A caller may by mistake send a key in the path, or have one as `sub` of a token.
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
    """The id of the caller's trace (W3C Trace Context section 3.2), if tracing is off here."""
    match [value for name, value in scope["headers"] if name == b"traceparent"]:
        case [value] if match := _TRACEPARENT.fullmatch(value):
            return {"trace_id": match[1].decode()}
    return {}

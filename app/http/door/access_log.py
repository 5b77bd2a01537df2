"""The access log: a line for each request, encoded in batches after the responses were sent."""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache

import structlog
from litestar.types import Scope
from msgspec import UNSET, Struct, UnsetType, json, structs

from app import logs
from app.audit.sanitize import without_secrets
from app.gateway.proxies import PROXY_HEADERS, TrustedProxies
from app.http.wire.scope_types import WEBSOCKET
from app.identity.principal import Principal
from app.log_floods import CLIENT_ERROR
from app.log_stream import LogStream

BATCH_SIZE = 64  # lines, whose encoding delays other requests by a fifth of a millisecond
FLUSH_SECONDS = 0.05
# Characters of a path, so that a line fits in the 4,096 bytes that a pipe takes in one piece. One can take six bytes.
MAX_TEXT, MAX_ESCAPED_TEXT = 1_024, 192
_MAX_RAW_PATH = 4 * MAX_TEXT  # bytes
_MAX_CACHED = 1_024
_TRACEPARENT = b"traceparent"
_TRACE = re.compile(rb"[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}(?:-.*)?")
_NANO = 1_000_000_000
_HUNDREDTH = 10_000  # of a millisecond, in nanoseconds
_LOGGER = "access"
_EVENT = "request"
_log = structlog.stdlib.get_logger("logs")

# Of all headers, a line depends on these.
HEADERS = frozenset((*PROXY_HEADERS, _TRACEPARENT))
Headers = Sequence[tuple[bytes, bytes]]
# When it ended and its duration in nanoseconds, status, request id, method, path, peer, headers, caller, the request
# that a gateway asked about, and the ids of its trace and span.
_Request = tuple[
    int,
    int,
    int,
    str,
    str,
    bytes,
    str | None,
    Headers,
    Principal | None,
    str | None,
    tuple[str, str] | None,
]
# Subject, key id, app and method of authentication of a caller.
_Caller = tuple[str | None, int | None, str | UnsetType, str | None]


class AccessLine(Struct, gc=False):
    """A line of the access log."""

    method: str
    path: str
    status: int
    client: str | None
    milliseconds: float
    subject: str | None
    key_id: int | None
    client_id: str | UnsetType
    auth_method: str | None
    asked: str | UnsetType
    event: str
    request_id: str
    trace_id: str | UnsetType
    span_id: str | UnsetType
    level: str
    timestamp: datetime


class AccessLog:
    """Collects requests, and writes their lines to the log at most `FLUSH_SECONDS` later.

    While no thread writes the stream of the log, each line is written at once.
    """

    def __init__(self, proxies: TrustedProxies, stream: LogStream) -> None:
        self._stream = stream
        self._proxies = proxies
        self._client_of = lru_cache(_MAX_CACHED)(lambda peer: proxies.client_of(peer, ()))
        self._requests: list[_Request] = []
        self._timer: asyncio.TimerHandle | None = None
        self._encoder = json.Encoder()

    def note(self, scope: Scope, headers: Headers, request_id: str, status: int, *, ended: int, took: int) -> None:
        """Add a request, whose `headers` are those among HEADERS.

        It `ended` at that `time.perf_counter_ns()`, after `took` nanoseconds.
        """
        # The scope is not kept: it refers to all that was sent.
        peer = scope.get("client")
        path = scope.get("raw_path", b"")
        state = scope.get("state")
        self._requests.append(
            (
                ended,
                took,
                status,
                request_id,
                "WEBSOCKET" if scope["type"] == WEBSOCKET else scope["method"],
                path if len(path) <= _MAX_RAW_PATH else path[:_MAX_RAW_PATH],
                peer[0] if peer else None,
                headers,
                scope.get("user"),
                state.get("asked") if state else None,
                logs.trace.get(),
            )
        )
        if len(self._requests) >= BATCH_SIZE or not self._stream.is_running:
            self.flush()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(FLUSH_SECONDS, self.flush)

    def flush(self) -> None:
        """Encode the lines of all requests so far, and give them to the stream; never raises."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        requests, self._requests = self._requests, []
        self._write(requests)

    def _write(self, requests: Sequence[_Request]) -> None:
        try:
            if lines := self._lines(requests):
                self._stream.write(self._encoded(lines), len(lines))
        except Exception:  # noqa: BLE001  # a defect, which must not fail the request that completes a batch
            if len(requests) > 1:
                for request in requests:  # no line is lost because of another one
                    self._write([request])
            else:
                self._stream.drop(1)
                _log.exception("a line of the access log could not be encoded")

    def _lines(self, requests: Sequence[_Request]) -> list[AccessLine]:
        if not logging.getLogger(_LOGGER).isEnabledFor(logging.INFO):
            return []
        lines: list[AccessLine] = []
        offset = time.time_ns() - time.perf_counter_ns()
        callers: dict[int, _Caller] = {}  # by the id of the principal
        for ended, took, status, request_id, method, path, peer, headers, principal, asked, trace in requests:
            client = self._proxies.client_of(peer, headers) if headers else self._client_of(peer)
            if not 0 < status < CLIENT_ERROR and not logs.floods.passes(_LOGGER, _EVENT, status, client):
                continue
            caller = callers.get(id(principal))
            if caller is None:
                caller = callers[id(principal)] = _caller(principal)
            subject, key_id, client_id, auth_method = caller
            trace_id, span_id = trace or (_trace_of(headers) if headers else UNSET, UNSET)
            lines.append(
                AccessLine(
                    method,
                    # The raw one, percent-encoded, so that a caller cannot forge lines.
                    _text(path.decode("ascii", "backslashreplace")),
                    status,
                    client,
                    (took + _HUNDREDTH // 2) // _HUNDREDTH / 100,  # a fifth of the time of `round`
                    subject,
                    key_id,
                    client_id,
                    auth_method,
                    _text(asked) if asked else UNSET,
                    _EVENT,
                    request_id,
                    trace_id,
                    span_id,
                    "info",
                    datetime.fromtimestamp((ended + offset) / _NANO, UTC),
                )
            )
        return lines

    def _encoded(self, lines: list[AccessLine]) -> bytes:
        renderer = logs.console_renderer
        if renderer is None:
            return self._encoder.encode_lines(lines)
        return "".join([f"{_console_line(line, renderer)}\n" for line in lines]).encode(errors="backslashreplace")


def _caller(principal: Principal | None) -> _Caller:
    if principal is None:
        return None, None, UNSET, None
    # A caller may by mistake have a key as `sub` of a token.
    subject = without_secrets(principal.subject) or None
    return subject, principal.key_id, principal.client_id or UNSET, principal.method


def _console_line(line: AccessLine, renderer: structlog.dev.ConsoleRenderer) -> str:
    event = {name: value for name, value in structs.asdict(line).items() if value is not UNSET}
    timestamp = line.timestamp.isoformat().replace("+00:00", "Z")
    return str(renderer(None, "", {**event, "timestamp": timestamp}))


def _text(text: str) -> str:
    """Remove secrets, and truncate: a caller may by mistake send a key in a path."""
    text = without_secrets(text)
    if len(text) <= MAX_ESCAPED_TEXT:
        return text
    is_plain = text.isascii() and text.isprintable() and "\\" not in text and '"' not in text
    limit = MAX_TEXT if is_plain else MAX_ESCAPED_TEXT
    return text if len(text) <= limit else f"{text[:limit]}…"


def _trace_of(headers: Headers) -> str | UnsetType:
    """The id of the caller's trace (W3C Trace Context section 3.2)."""
    match [value for name, value in headers if name == _TRACEPARENT]:
        case [value] if match := _TRACE.fullmatch(value):
            return match[1].decode()
    return UNSET

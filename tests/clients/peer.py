"""Another AuthZEN decision point on real sockets, which allows only alice and misbehaves on command."""

from __future__ import annotations

import json
import ssl
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, ClassVar, Self


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A received request."""

    path: str
    headers: dict[str, str]
    body: Any


class Exchange(BaseHTTPRequestHandler):
    """A connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    peer: ClassVar[Peer]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.peer.requests.append(ReceivedRequest(self.path, headers, body))
        right = {"evaluations": [judge(item) for item in body["evaluations"]]} if "evaluations" in body else judge(body)
        self.peer.next()(self, json.dumps(right).encode())

    def do_GET(self) -> None:
        """Answer a client that follows a redirect as browsers do."""
        self.peer.requests.append(ReceivedRequest(self.path, {}, None))
        self.answer(200, b'{"decision": true}')

    def answer(self, status: int, content: bytes, **headers: str) -> None:
        """Send a complete answer; an underscore in the name of a header stands for a hyphen."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        if status != 204:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if status != 204:
            self.wfile.write(content)

    def drip(self, content: bytes) -> None:
        """Write a byte at a time, ten in a second, until the peer closes."""
        for byte in content:
            self.wfile.write(bytes([byte]))
            self.peer.closed.wait(0.1)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Write nothing to standard error."""


# Handles a request, with the body of the correct answer.
Behaviour = Callable[[Exchange, bytes], None]


def well(exchange: Exchange, content: bytes) -> None:
    """Answer as AuthZEN requires."""
    exchange.answer(200, content)


def judge(question: Any) -> dict[str, bool]:
    """The decision on a request."""
    return {"decision": question["subject"]["id"] == "alice"}


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = (
        128  # as real servers: with a backlog of five, some of sixty concurrent connections are refused
    )

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore broken connections of clients that give up, as tests expect them to."""


class Peer:
    """Answers while entered. Each behaviour is for one request, and the last one for all later requests."""

    def __init__(self, *behaviours: Behaviour, tls: ssl.SSLContext | None = None) -> None:
        self._behaviours = list(behaviours) or [well]
        self._lock = threading.Lock()
        self.requests: list[ReceivedRequest] = []
        self.closed = threading.Event()
        self._http = _Http(("127.0.0.1", 0), type("Bound", (Exchange,), {"peer": self}))
        if tls:
            self._http.socket = tls.wrap_socket(self._http.socket, server_side=True, do_handshake_on_connect=False)
        self.url = f"{'https' if tls else 'http'}://127.0.0.1:{self._http.server_port}"

    def next(self) -> Behaviour:
        """The behaviour for the next request."""
        with self._lock:
            return self._behaviours.pop(0) if len(self._behaviours) > 1 else self._behaviours[0]

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closed.set()
        self._http.shutdown()
        self._http.server_close()

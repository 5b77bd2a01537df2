"""A server that gives the responses of a list in their order, and records the requests."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterable
from http.server import BaseHTTPRequestHandler
from typing import Any

from tests.support.certificate import Certificate
from tests.support.threaded_server import ThreadedServer

# A status, headers and a body, which is written as JSON unless it is bytes or None.
Answer = tuple[int, dict[str, str], Any]
# What is done with a request: None ends the connection without a response.
Step = Answer | None | Callable[["Handler"], None]


class FailingServer(ThreadedServer):
    """Gives the responses of its steps."""

    def __init__(self, certificate: Certificate | None = None) -> None:
        super().__init__(Handler, certificate=certificate)
        self.requests: list[tuple[str, str, str]] = []
        self.cookies: list[str | None] = []
        self.connections: set[Any] = set()
        self.stopped = threading.Event()
        self.reads_slowly = False
        self._steps: list[Step] = []

    def follow(self, steps: Iterable[Step]) -> None:
        """Forget the requests so far, and do these with the next ones."""
        self.requests.clear()
        self.cookies.clear()
        self._steps[:] = steps

    def next(self) -> Step:
        """What to do with a request; the last step is for all later requests."""
        return self._steps.pop(0) if len(self._steps) > 1 else self._steps[0]

    def __exit__(self, *_: object) -> None:
        self.stopped.set()
        super().__exit__()


class Handler(BaseHTTPRequestHandler):
    """A connection, which has one request."""

    server: FailingServer

    def _handle(self) -> None:
        while self.server.reads_slowly and not self.server.stopped.wait(0.05):
            self.rfile.read1(500_000)
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.connections.add(self.client_address)
        self.server.requests.append((self.command, self.path, self.headers["Authorization"]))
        self.server.cookies.append(self.headers["Cookie"])
        step = self.server.next()
        if step is None:
            self.close_connection = True
        elif callable(step):
            step(self)
        else:
            self.answer(*step)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _handle  # noqa: N815  # the names of the library

    def answer(self, status: int, headers: dict[str, str], content: Any) -> None:
        """Send a response."""
        body = content if isinstance(content, bytes) else b"" if content is None else json.dumps(content).encode()
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), "X-Request-ID": "r1", **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, beginning: bytes, more: bytes) -> None:
        """Write a beginning and then, twenty times in a second, more, until the client closes the connection."""
        self.wfile.write(beginning)
        while not self.server.stopped.wait(0.05):
            self.wfile.write(more)

    def pour(self, beginning: bytes, more: bytes) -> None:
        """The same without a pause."""
        self.wfile.write(beginning)
        while not self.server.stopped.is_set():
            self.wfile.write(more)

    def log_message(self, *_: object) -> None:
        """Write nothing."""

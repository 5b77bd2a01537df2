"""A limit of the time of an attempt of the synchronous client, for all its parts together.

httpx limits each wait for a part alone: a server that sends a byte of the headers now and then would hold a thread
forever. Connections to other machines are TLS, whose sockets Python creates with the class that their context has.
"""

from __future__ import annotations

import ssl
import time
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpx

from ._exchange import LATE

_deadline: ContextVar[float | None] = ContextVar("griddy_deadline", default=None)


@contextmanager
def limited_time(seconds: float) -> Generator[None]:
    """Limit all reads and writes of this thread together."""
    before = _deadline.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(before)


class _LimitedSocket(ssl.SSLSocket):
    """Waits at most until the deadline. Raises TimeoutError, which httpx makes a ReadTimeout or a WriteTimeout."""

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        self._limit()
        return super().recv(buflen, flags)

    def send(self, data: Any, flags: int = 0) -> int:
        self._limit()
        return super().send(data, flags)

    def _limit(self) -> None:
        deadline = _deadline.get()
        if deadline is None:
            return
        left, wait = deadline - time.monotonic(), self.gettimeout()
        if left <= 0:
            raise TimeoutError(LATE)
        if wait is None or left < wait:
            self.settimeout(left)


def limited_tls() -> ssl.SSLContext:
    """The context that httpx uses by default, with sockets that observe the limit."""
    context = httpx.create_ssl_context()
    context.sslsocket_class = _LimitedSocket
    return context

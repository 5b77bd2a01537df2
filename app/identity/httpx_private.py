"""All private API of httpx that this program uses, to limit what a host may send.

httpx has a limit for the head of an answer, and none for the interim responses before it (RFC 9110 section 15.2): a
host that sends them without end keeps the process busy. tests/identity/test_httpx_private.py fails if the meaning of
these names changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast

import httpx

_READ_BYTES = 2_048  # parsed at once, between which other requests are answered


def limit_received(transport: httpx.AsyncBaseTransport, max_bytes: int, error: Callable[[], Exception]) -> None:
    """Raise the error when a host sends more than `max_bytes` after a request, everything of its answers included."""
    pool: Any = cast(Any, transport)._pool
    pool._network_backend = _LimitedBackend(pool._network_backend, max_bytes, error)


def limit_client(client: httpx.AsyncClient, max_bytes: int, error: Callable[[], Exception]) -> None:
    """Limit what a client receives, from hosts and from the proxies that the environment names."""
    for transport in (client._transport, *client._mounts.values()):
        if transport is not None:
            limit_received(transport, max_bytes, error)


class _LimitedBackend:
    """A network backend of httpcore whose connections are limited."""

    def __init__(self, backend: Any, max_bytes: int, error: Callable[[], Exception]) -> None:
        self._backend = backend
        self._limits = max_bytes, error

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> _LimitedStream:
        return _LimitedStream(await self._backend.connect_tcp(*args, **kwargs), *self._limits)


class _LimitedStream:
    def __init__(self, stream: Any, max_bytes: int, error: Callable[[], Exception]) -> None:
        self._stream = stream
        self._left = self._max_bytes = max_bytes
        self._error = error

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109  # httpcore's own
        await asyncio.sleep(0)
        received: bytes = await self._stream.read(min(max_bytes, _READ_BYTES), timeout)
        self._left -= len(received)
        if self._left < 0:
            raise self._error()
        return received

    async def write(self, *args: Any, **kwargs: Any) -> None:
        self._left = self._max_bytes  # of the next request on the connection
        await self._stream.write(*args, **kwargs)

    async def start_tls(self, *args: Any, **kwargs: Any) -> _LimitedStream:
        return _LimitedStream(await self._stream.start_tls(*args, **kwargs), self._max_bytes, self._error)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

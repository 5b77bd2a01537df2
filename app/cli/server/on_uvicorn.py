"""Serves an application on uvicorn, the default server, and drains before it stops."""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, Literal

import structlog
import uvicorn
from litestar.types import ASGIApp

from app.cli.server.limits import DEFAULT, ConnectionLimits
from app.cli.server.listening import KEEP_ALIVE_SECONDS, LINGER_SECONDS, SHUTDOWN_SECONDS, Tls
from app.cli.server.peer_connections import PeerConnections
from app.cli.server.uvicorn_limits import LimitedProtocol
from app.http.door.draining import draining

_log = structlog.stdlib.get_logger("server")


def serve(
    app: ASGIApp,
    listener: socket.socket,
    started: Callable[[], None],
    *,
    tls: Tls | None,
    drain_seconds: float,
    limits: ConnectionLimits,
) -> bool:
    """Serve until SIGINT or SIGTERM, and drain. `started` is called once it serves; False when it never did."""
    server = _UvicornServer(_config(app, tls=tls, limits=limits), started, drain_seconds)
    server.run(sockets=[listener])
    return server.started


@contextmanager
def serve_in_thread(app: ASGIApp, listener: socket.socket, limits: ConnectionLimits = DEFAULT) -> Iterator[None]:
    """Serve a small application in a thread while the block runs."""
    server = uvicorn.Server(_config(app, lifespan="off", limits=limits))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(SHUTDOWN_SECONDS)


class _UvicornServer(uvicorn.Server):
    """A uvicorn server that reports when it has started, and drains before it stops.

    After a signal to stop it closes each connection with its next answer, and keeps listening for `drain_seconds`. Then
    it closes its socket, and connections that stay idle for another second.
    """

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], drain_seconds: float) -> None:
        super().__init__(config)
        self._say_started = started
        self._drain_seconds = drain_seconds
        self._drained_since = 0.0

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say_started()

    async def on_tick(self, counter: int) -> bool:
        over = await super().on_tick(counter)
        if over and not draining.begun:
            self._drained_since = time.monotonic()
            draining.begin(self._drain_seconds)
        waited = draining.immediate or time.monotonic() >= self._drained_since + self._drain_seconds
        return over and (waited or self.force_exit)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # No await may come between: a client that connects after the last check would be reset, a later one is refused.
        waiting = [each for listening in sockets or () for each in _waiting(listening)]
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        taken = [asyncio.create_task(self._take(each)) for each in waiting]
        while self.server_state.connections and not self.force_exit:
            if time.monotonic() >= self._drained_since + LINGER_SECONDS:
                break
            await asyncio.sleep(0.02)
        for failed in await asyncio.gather(*taken, return_exceptions=True):
            if isinstance(failed, Exception):  # such as a failed handshake
                _log.warning("a connection was not taken", error=type(failed).__name__)
        await super().shutdown(sockets)

    async def _take(self, accepted: socket.socket) -> None:
        """Serve a connection, as the listening server would have."""

        def protocol() -> asyncio.Protocol:
            made: asyncio.Protocol = self.config.http_protocol_class(  # type: ignore[call-arg]  # of either parser
                config=self.config, server_state=self.server_state, app_state=self.lifespan.state
            )
            return made

        tls = self.config.ssl
        limit = LINGER_SECONDS if tls else None
        loop = asyncio.get_running_loop()
        await loop.connect_accepted_socket(protocol, accepted, ssl=tls, ssl_handshake_timeout=limit)


def _waiting(listening: socket.socket) -> Iterator[socket.socket]:
    """The connections that the kernel has established and no process has accepted."""
    listening.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


def _config(
    app: ASGIApp,
    lifespan: Literal["on", "off"] = "on",
    tls: Tls | None = None,
    limits: ConnectionLimits = DEFAULT,
) -> uvicorn.Config:
    protocol: Any = partial(LimitedProtocol, limits=limits, peers=PeerConnections(limits))
    return uvicorn.Config(
        app,
        http=protocol,
        interface="asgi3",
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        server_header=False,
        proxy_headers=False,  # the address of a peer comes from the socket, never from a header
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )

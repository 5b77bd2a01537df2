"""Serves an application on granian, on one event loop of this process, and drains before it stops.

It uses the embeddable server without its processes, so that `authz serve` supervises workers alike on both servers.
"""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import structlog
import uvloop
from granian.asgi import LifespanProtocol
from granian.constants import HTTPModes, Interfaces, SSLProtocols
from granian.http import HTTP1Settings
from granian.log import LogLevels
from granian.server.embed import Server
from litestar.types import ASGIApp

from app.audit.periodic_task import pause
from app.cli.failure import fail
from app.cli.server.accepting import refuse_new
from app.cli.server.granian_connections import GranianConnections
from app.cli.server.granian_limits import within_limits
from app.cli.server.granian_private import LOGGER, SharedSocketServer
from app.cli.server.limits import ConnectionLimits, max_connections
from app.cli.server.listening import KEEP_ALIVE_SECONDS, LINGER_SECONDS, SHUTDOWN_SECONDS, Tls
from app.http.door.draining import draining

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_BACKLOG = 2048  # connections
_log = structlog.stdlib.get_logger("server")
# Errors are logged by the handler of the root logger.
_LOGGING = {"handlers": {}, "formatters": {}, "loggers": {LOGGER: {"propagate": True}}}


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
    connections = GranianConnections(listener, limits)
    run = _ServerRun(within_limits(app, limits, connections.busy), listener, started, limits.head_bytes, connections)
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(run.serve(tls, drain_seconds))
    for number, handler in before.items():
        signal.signal(number, handler)
    if run.ended_by is not None:
        signal.raise_signal(run.ended_by)  # to end as by the signal itself
    elif run.started:
        fail("granian ended by itself; the log above says why.")
    return run.started


def _new_server(app: Any, listener: socket.socket, tls: Tls | None, head_bytes: int) -> SharedSocketServer:
    return SharedSocketServer(
        app,
        listener,
        interface=Interfaces.ASGINL,  # the application is started and stopped here
        http=HTTPModes.http1,  # as on uvicorn, so that clients see no difference
        # Granian applies this timeout to idle connections too.
        http1_settings=HTTP1Settings(header_read_timeout=KEEP_ALIVE_SECONDS * 1000, max_buffer_size=head_bytes),
        backlog=_BACKLOG,
        backpressure=min(_BACKLOG, max_connections()),  # connections that are open at the same time
        log_dictconfig=_LOGGING,
        log_level=LogLevels.error,
        ssl_cert=tls.certificate if tls else None,
        ssl_key=tls.key if tls else None,
        ssl_protocol_min=SSLProtocols.tls12,
    )


class _ServerRun:
    """One run of it: `started`, and the signal by which it was `ended_by`."""

    def __init__(
        self,
        app: ASGIApp,
        listener: socket.socket,
        started: Callable[[], None],
        head_bytes: int,
        connections: GranianConnections,
    ) -> None:
        self._head_bytes = head_bytes
        self._connections = connections
        self._app: Any = app
        self._listener = listener
        self._say_started = started
        self._stopping = asyncio.Event()
        self._hurried = asyncio.Event()
        self.started = False
        self.ended_by: signal.Signals | None = None

    async def serve(self, tls: Tls | None, drain_seconds: float) -> None:
        """Start, serve until a signal comes, and stop."""
        lifespan = LifespanProtocol(self._app)
        await lifespan.startup()
        if lifespan.interrupt or lifespan.errored:
            # A failure that the application reported is logged already.
            _log.error("the application did not start", exc_info=None if lifespan.failure_startup else lifespan.exc)
            return
        loop = asyncio.get_running_loop()
        for number in _SIGNALS:
            loop.add_signal_handler(number, self._on_signal, number)
        self._listener.listen(_BACKLOG)
        server: Server = _new_server(self._app, self._listener, tls, self._head_bytes)
        serving = loop.create_task(server.serve())
        watching = loop.create_task(self._connections.watch())
        self.started = True
        self._say_started()
        await _first_of(serving, self._stopping)
        if not serving.done():
            await self._drain(drain_seconds)
            self._listener.close()
            server.stop()
            await _first_of(serving, self._hurried, SHUTDOWN_SECONDS)
        serving.cancel()
        watching.cancel()
        await lifespan.shutdown()
        with suppress(asyncio.CancelledError):
            await serving

    def _on_signal(self, number: signal.Signals) -> None:
        if self._stopping.is_set() and number == signal.SIGINT:
            self._hurried.set()
        self.ended_by = self.ended_by or number
        self._stopping.set()

    async def _drain(self, seconds: float) -> None:
        """Keep listening, close connections with their next answer, and wait until they have ended.

        As it stops, granian closes each connection that is between two requests, or has not begun its first one. On a
        busy machine some client always has just connected, so that at the end no new connection may begin.
        """
        draining.begin(seconds)
        await pause(self._hurried, 0 if draining.immediate else seconds)
        if draining.all_workers_stop():
            refuse_new(self._listener)
        await pause(self._hurried, LINGER_SECONDS)


async def _first_of(task: asyncio.Task[None], event: asyncio.Event, seconds: float | None = None) -> None:
    """Wait until the first of both is done, at most `seconds`."""
    waiting = asyncio.create_task(event.wait())
    await asyncio.wait((task, waiting), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()

"""Runs an application on a server with our own socket, so that a port in use is reported as a message."""

from __future__ import annotations

import socket
from collections.abc import Callable
from functools import partial

from litestar.types import ASGIApp

from app import logs
from app.cli.failure import fail
from app.cli.server import on_uvicorn
from app.cli.server.limits import DEFAULT, ConnectionLimits
from app.cli.server.listening import Tls, say_listening
from app.settings import ServerName


def serve(
    app: ASGIApp,
    listener: socket.socket,
    started: Callable[[], None] | None = None,
    *,
    tls: Tls | None = None,
    drain_seconds: float = 0.0,
    limits: ConnectionLimits = DEFAULT,
    server: ServerName = "uvicorn",
) -> None:
    """Serve until SIGINT or SIGTERM, and drain; requests in flight may then finish for up to 10 seconds.

    `started` is called once it serves; without it, a log line says so.
    """
    say = started or partial(say_listening, listener, tls)
    run = on_uvicorn.serve
    if server == "granian":
        from app.cli.server import on_granian

        run = on_granian.serve
    try:
        has_started = run(app, listener, say, tls=tls, drain_seconds=drain_seconds, limits=limits)
    finally:
        # A second interrupt does not wait for the end of the application.
        logs.stream.flush()
        logs.stream.stop()
    if not has_started:
        fail("the server did not start; the log above says why.")

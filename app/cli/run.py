"""Runs an application on a server, on a socket of our own, so that a taken port is a plain error."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module

import uvicorn
from litestar.types import ASGIApp

from app.cli.failure import fail
from app.cli.listening import SHUTDOWN_SECONDS, Tls, say_listening
from app.cli.on_uvicorn import config
from app.settings import ServerName


def serve(
    app: ASGIApp,
    listener: socket.socket,
    started: Callable[[], None] | None = None,
    *,
    tls: Tls | None = None,
    drain_seconds: float = 0.0,
    server: ServerName = "uvicorn",
) -> None:
    """Serve until SIGINT or SIGTERM, and drain; requests in flight may then finish for up to 10 seconds.

    `started` is called once it serves; without it, a log line says so.
    """
    say = started or partial(say_listening, listener, tls)
    # Only the one in use is imported.
    served = import_module(f"app.cli.on_{server}").serve(app, listener, say, tls=tls, drain_seconds=drain_seconds)
    if not served:
        fail("the server did not start; the log above says why.")


@contextmanager
def beside(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve a small application in a thread for as long as the block runs."""
    server = uvicorn.Server(config(app, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(SHUTDOWN_SECONDS)

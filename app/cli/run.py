"""Runs an application on uvicorn, on a socket of our own, so that a taken port is a plain error."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import structlog
import uvicorn
from litestar.types import ASGIApp

from app.cli.failure import fail
from app.http.draining import draining

_log = structlog.stdlib.get_logger("server")
SHUTDOWN_SECONDS = 10
STOP_SECONDS = 2.0 * SHUTDOWN_SECONDS  # with what is written after the last request
# Longer than load balancers keep an idle connection (a minute), so that it is they who close it: one that the server
# closes may have just been given a request.
KEEP_ALIVE_SECONDS = 75
# A client that is between two requests sends the next one, and is told with its answer to connect anew.
LINGER_SECONDS = 0.5


def bind(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        fail(f"cannot listen on {host}:{port}: {error.strerror}. Choose another --port.")
    listener.set_inheritable(True)
    return listener


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate, with its chain, and its private key, in PEM files."""

    certificate: Path
    key: Path


def read_tls(certificate: Path, key: Path) -> Tls:
    """The pair, tried out, so that a wrong one is a plain error."""

    def no_password() -> str:
        fail(f"the key {key} is encrypted, and there is nobody to ask for its password. Store it decrypted.")

    for file in (certificate, key):
        try:
            file.read_bytes()
        except OSError as error:
            fail(f"cannot read {file}: {error.strerror}.")
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(certificate, key, no_password)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            fail(f"the key {key} is not that of the certificate {certificate}.")
        fail(f"{certificate} and {key} are no certificate and key in PEM.")
    return Tls(certificate, key)


def url_of(listener: socket.socket, scheme: str = "http") -> str:
    """The address of a listening socket, for a person to open."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


class _Server(uvicorn.Server):
    """A uvicorn server that says when it has started, and drains before it stops.

    Told to stop, it says with every answer that the connection ends, and for `drain_seconds` still listens. Then it
    closes its socket, and an idle connection that has had half a second to send one more request.
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
            draining.begun = True
            self._drained_since = time.monotonic()
            _log.info("draining", seconds=0 if draining.at_once else self._drain_seconds)
        waited = draining.at_once or time.monotonic() >= self._drained_since + self._drain_seconds
        return over and (waited or self.force_exit)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Nothing may come between: whoever connects after the last look is reset, who connects after that refused.
        waiting = [each for listening in sockets or () for each in _waiting(listening)]
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        taken = [asyncio.create_task(self._take(each)) for each in waiting]
        while self.server_state.connections and not self.force_exit:
            if time.monotonic() >= self._drained_since + LINGER_SECONDS:
                break
            await asyncio.sleep(0.02)
        for failed in await asyncio.gather(*taken, return_exceptions=True):
            if isinstance(failed, Exception):  # as a handshake that came to nothing
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
    """The connections that the kernel has taken and nobody has accepted."""
    listening.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            yield listening.accept()[0]


def serve(
    app: ASGIApp,
    listener: socket.socket,
    started: Callable[[], None] | None = None,
    *,
    tls: Tls | None = None,
    drain_seconds: float = 0.0,
) -> None:
    """Serve until SIGINT or SIGTERM, and drain; requests in flight may then finish for up to 10 seconds.

    `started` is called once it serves; without it, a log line says so.
    """
    say = started or partial(say_listening, listener, tls)
    server = _Server(_config(app, tls=tls), say, drain_seconds)
    server.run(sockets=[listener])
    if not server.started:
        fail("the server did not start; the log above says why.")


def say_listening(listener: socket.socket, tls: Tls | None, **more: object) -> None:
    """The log line by which one knows where it listens."""
    _log.info("listening", url=url_of(listener, "https" if tls else "http"), **more)


@contextmanager
def beside(app: ASGIApp, listener: socket.socket) -> Iterator[None]:
    """Serve a small application in a thread for as long as the block runs."""
    server = uvicorn.Server(_config(app, lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(SHUTDOWN_SECONDS)


def _config(app: ASGIApp, lifespan: Literal["on", "off"] = "on", tls: Tls | None = None) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        interface="asgi3",
        log_config=None,
        access_log=False,
        lifespan=lifespan,
        server_header=False,
        proxy_headers=False,  # the address of a peer is what the socket says, never a header
        timeout_graceful_shutdown=SHUTDOWN_SECONDS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )

"""Runs an application on uvicorn, on a socket of our own, so that a taken port is a plain error."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import structlog
import uvicorn
from litestar.types import ASGIApp

from app.cli.failure import fail

_log = structlog.stdlib.get_logger("server")
SHUTDOWN_SECONDS = 10


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
    """A uvicorn server that says when it has started."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._say_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._say_started()


def serve(
    app: ASGIApp, listener: socket.socket, started: Callable[[], None] | None = None, *, tls: Tls | None = None
) -> None:
    """Serve until SIGINT or SIGTERM; requests in flight may finish for up to 10 seconds."""

    def say() -> None:
        _log.info("listening", url=url_of(listener, "https" if tls else "http"))
        if started:
            started()

    server = _Server(_config(app, tls=tls), say)
    server.run(sockets=[listener])
    if not server.started:
        fail("the server did not start; the log above says why.")


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
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
    )

"""Listening sockets, TLS files and timeouts of both servers."""

from __future__ import annotations

import errno
import socket
import ssl
from dataclasses import dataclass
from pathlib import Path

import structlog

from app.cli.failure import fail

_log = structlog.stdlib.get_logger("server")
_BACKLOG = 2048  # as in both servers
SHUTDOWN_SECONDS = 10
STOP_SECONDS = 2.0 * SHUTDOWN_SECONDS  # including what is written after the last request
# Longer than load balancers keep an idle connection (a minute), so that they close it: a connection that the server
# closes may just have received a request.
KEEP_ALIVE_SECONDS = 75
# A client that is between two requests sends the next one, and its answer asks it to reconnect.
LINGER_SECONDS = 1.0


def bind(host: str, port: int, *, option: str = "--port") -> socket.socket:
    """Open a listening socket; port 0 takes a free one. `option` names the option of the port in the message.

    It listens at once: with SO_REUSEADDR several sockets can be bound to a port until one of them listens.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(_BACKLOG)
    except OSError as error:
        listener.close()
        fail(f"cannot listen on {host}:{port}: {error.strerror}. {_remedy(error, option)}")
    listener.set_inheritable(True)
    return listener


def _remedy(error: OSError, option: str) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "Give --host an address of this machine, such as 127.0.0.1, or 0.0.0.0 for all."
    if error.errno == errno.EACCES:
        return f"Choose a {option} above 1023, or grant the process CAP_NET_BIND_SERVICE."
    return f"Choose another {option}."


@dataclass(frozen=True, slots=True)
class Tls:
    """A certificate, with its chain, and its private key, in PEM files."""

    certificate: Path
    key: Path


def read_tls(certificate: Path, key: Path) -> Tls:
    """Check that certificate and key can be used; exit with a message if not."""

    def no_password() -> str:
        fail(f"the key {key} is encrypted, and there is no terminal to ask for its password. Store it decrypted.")

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
    """The URL of a listening socket."""
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    return f"{scheme}://{shown}:{port}"


def say_listening(listener: socket.socket, tls: Tls | None, **more: object) -> None:
    """Log the address of a listening socket."""
    _log.info("listening", url=url_of(listener, "https" if tls else "http"), **more)

"""uvicorn and granian: the verdict on a request is the same."""

from __future__ import annotations

import os
import signal
import socket
from pathlib import Path
from typing import get_args

from app.settings import ServerName
from tests.cli.serving import server_on
from tests.support.forked_process import run
from tests.support.issuer import LiveIssuer
from tests.support.server import ROOT, Server, eventually

SERVERS = get_args(ServerName)
NO_HTTP = {0, 400}  # answers of a server itself
TEAMS, SOURCES = "/api/v1/teams/", "/api/v1/sources/"
# Each is sent unchanged, for `{open}`, which the token allows, and for `{shut}`, which it does not.
TARGETS = (
    *("{open}", "{shut}", "{open}?limit=1", "{shut}?limit=1", "/{shut}", "{shut}/", "{open}..{shut}", "/.{shut}"),
    *("{open}../sources/", "{open}%2e%2e/sources/", "{open}..%2fsources/", "{open}..;/sources/", "{open};{shut}"),
    *("/api/v1/%73ources/", "/api/v1/sources%2f", "/api/v1/sources%00", "/api%2fv1/sources/", "/api/v1/Sources/"),
    *("{shut}#", "{shut}#{open}", "{open}#{shut}", "{open}?{shut}", "/api/v1\\sources/", "{open}\xff", "{shut}%c0%af"),
    *("http://x{open}", "http://x{shut}", "http://evil@x{shut}", "//x{shut}", "http:{shut}", "*", "", "sources/"),
    *("/api/v1/team/../sources/", "/api/v1/teams/%", "/api/v1/teams/%zz", "{shut}\t", "{shut}%20", "{open}%0d%0aX:y"),
)
METHODS = ("GET", "HEAD", "OPTIONS", "POST", "DELETE", "get", "GETT", "TRACE", "PROPFIND", "WEBSOCKET")
# Unusual content after the first line.
HEADERS = (
    "Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n",
    "authorization: bearer {token}\r\n",
    "Authorization:Bearer {token}\r\n",
    "Authorization: Bearer  {token}\r\n",
    "Authorization: Bearer\t{token}\r\n",
    "Authorization: Bearer {token}, Bearer {token}\r\n",
    "Authorization: Basic {token}\r\n",
    "Authorization : Bearer {token}\r\n",
    "Authorization:\r\n Bearer {token}\r\n",
    "Authorization: Bearer {token}\x00\r\n",
    "Authorization: Bearer {token}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n",
    "Authorization: Bearer {token}\r\nContent-Length: 0\r\nContent-Length: 5\r\n",
    "X-Request-ID: mine\r\n",
    "",
)


def raw(server: Server, request: str) -> tuple[int, str]:
    """The status and body of the answer to raw bytes; 0 if there is none."""
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 1.5) as connection:
        connection.sendall(request.encode("latin-1"))
        answer = b""
        try:
            while more := connection.recv(65536):
                answer += more
        except (ConnectionError, TimeoutError):
            pass  # the answer is what arrived until then
    head, _, body = answer.partition(b"\r\n\r\n")
    return (int(head.split()[1]) if head else 0), body.decode("latin-1")


def test_both_servers_refuse_the_same_requests(issuer: LiveIssuer, tmp_path: Path) -> None:
    token = issuer.token(permissions=["catalog:read"])
    usual = f"Host: x\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n\r\n"
    asked = [
        *(f"GET {target.format(open=TEAMS, shut=SOURCES)} HTTP/1.1\r\n{usual}" for target in TARGETS),
        *(f"{method} {path} HTTP/1.1\r\n{usual}" for method in METHODS for path in (TEAMS, SOURCES)),
        *(
            f"GET {TEAMS} HTTP/1.1\r\nHost: x\r\n{given.format(token=token)}Connection: close\r\n\r\n"
            for given in HEADERS
        ),
        f"GET {TEAMS} HTTP/1.0\r\n{usual}",
        f"GET {TEAMS} HTTP/1.1\r\nHost: x\r\nHost: y\r\n{usual}",
        f"GET {TEAMS}\r\n\r\n",
        f"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{usual}",
        f"GET {TEAMS} HTTP/1.1\r\nUpgrade: h2c\r\n{usual}",
    ]
    one, other = (server_on(name, issuer, tmp_path / name) for name in SERVERS)
    opened = 0
    with one, other:
        for request in asked:
            (on_one, said), (on_other, also) = raw(one, request), raw(other, request)
            allowed = [200 <= status < 400 for status in (on_one, on_other)]
            opened += all(allowed)
            if {on_one, on_other}.isdisjoint(NO_HTTP):
                assert (on_one, said) == (on_other, also), request
            else:  # uvicorn is stricter about invalid HTTP, and never allows what granian refuses
                assert allowed in ([False, False], [False, True]), request
    assert opened > 10


def test_an_application_that_cannot_start_ends_the_program_and_says_why(on: str) -> None:
    ended = run("-m", "tests.apps.failing", on, env=os.environ, cwd=ROOT)
    assert ended.returncode not in (0, -signal.SIGTERM)
    assert "the cellar is flooded" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_second_interrupt_ends_it_immediately(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    with server_on(on, issuer, tmp_path, drain_seconds="60") as server:
        server.signal(signal.SIGINT)
        server.wait_for_log(lambda entry: entry.get("event") == "draining")
        server.signal(signal.SIGINT)
        assert eventually(lambda: server.process is not None and server.process.poll() is not None, 10)

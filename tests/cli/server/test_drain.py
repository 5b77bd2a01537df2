"""A server that is stopped drains: it reports that it is not ready, and answers all accepted requests."""

from __future__ import annotations

import json
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.cli.serving import server_on
from tests.support.issuer import LiveIssuer
from tests.support.load import Load
from tests.support.server import Server, eventually


@pytest.fixture
def draining(on: str, issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server for one test, which stops it."""
    with server_on(on, issuer, tmp_path) as started:
        yield started


def test_no_request_on_a_kept_connection_is_lost_under_load(draining: Server) -> None:
    with Load(draining.url, "/healthz", clients=8) as load:
        assert eventually(lambda: load.answers[200] > 50)
        draining.signal(signal.SIGTERM)
        load.join()
    assert load.lost == []
    assert set(load.answers) == {200}
    assert load.refused == 8


def test_accepted_connections_are_answered_during_the_drain(draining: Server) -> None:
    host, port = draining.url.removeprefix("http://").split(":")

    def ask() -> bytes | None:
        """The answer to a slow client; None if it could not connect."""
        try:
            connection = socket.create_connection((host, int(port)), 5)
        except ConnectionRefusedError:
            return None
        with connection:
            time.sleep(0.3)
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            return b"".join(iter(lambda: connection.recv(65536), b""))

    draining.signal(signal.SIGTERM)
    with ThreadPoolExecutor(40) as pool:
        answers = []
        for _ in range(40):
            answers.append(pool.submit(ask))
            time.sleep(0.02)
    for answer in (each.result() for each in answers):
        assert answer is None or answer.startswith(b"HTTP/1.1 200 ")


def test_a_request_in_flight_is_answered_and_its_connection_ends(draining: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read"])
    body = json.dumps({"name": "sent in two halves"}).encode()
    host, port = draining.url.removeprefix("http://").split(":")
    head = (
        f"POST /api/v1/api-keys/ HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    ).encode()
    with socket.create_connection((host, int(port)), 10) as connection:
        connection.sendall(head + body[:5])
        time.sleep(0.2)
        draining.signal(signal.SIGTERM)
        draining.wait_for_log(lambda entry: entry.get("event") == "draining")
        time.sleep(0.3)
        connection.sendall(body[5:])
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 201 ")
    assert b"connection: close" in answer.partition(b"\r\n\r\n")[0].lower()
    draining.stop()
    # The last decision is in the log before the process ends.
    assert not [entry for entry in draining.log if entry.get("level") == "error"]


def test_readiness_fails_first_while_requests_are_served(on: str, issuer: LiveIssuer, tmp_path: Path) -> None:
    server = server_on(on, issuer, tmp_path, drain_seconds="0.6")
    with server, server.client(issuer.token(permissions=["catalog:read"])) as client:
        assert client.get("/readyz").json()["status"] == "ready"
        server.signal(signal.SIGTERM)
        told = time.monotonic()
        server.wait_for_log(lambda entry: entry.get("event") == "draining")
        answer = client.get("/readyz")
        assert (answer.status_code, answer.json()["status"]) == (503, "draining")
        assert answer.headers["connection"] == "close"
        assert client.get("/healthz").status_code == 200
        assert client.get("/api/v1/teams/").status_code == 200
        assert server.stop() == -signal.SIGTERM
        assert time.monotonic() - told >= 0.6

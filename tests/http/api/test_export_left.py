"""A disconnect within an export leaves no unfinished work in the server."""

from __future__ import annotations

import json
import socket
import sqlite3
import time
from contextlib import closing
from urllib.parse import urlsplit

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

PATH = "/api/v1/decisions/export"


def fill(server: Server, number: int) -> None:
    """Insert many copies of the first decision."""
    with closing(sqlite3.connect(server.directory / "authz.db")) as database:
        columns = [
            row[1] for row in database.execute("PRAGMA table_info(decision_rows)") if row[1] not in ("id", "second")
        ]
        kept = ", ".join(columns)
        database.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) "
            f"INSERT INTO decision_rows (second, {kept}) SELECT second - i, {kept} "
            "FROM n, (SELECT * FROM decision_rows LIMIT 1)"
        )
        database.commit()


def leave(server: Server, token: str, after: float) -> None:
    """Request an export, read its beginning, and disconnect abruptly, as a killed program does."""
    url = urlsplit(server.url)
    assert url.port
    with socket.create_connection((url.hostname, url.port)) as connection:
        head = f"GET {PATH} HTTP/1.1\r\nHost: {url.netloc}\r\nAuthorization: Bearer {token}\r\n\r\n"
        connection.sendall(head.encode())
        assert connection.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(after)
        # With unread data in its buffers, closing resets the connection.


def test_a_disconnect_within_an_export_ends_its_query(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["decisions:read"])
    with own_server.client(token) as client:
        client.get("/api/v1/decisions/health")
        assert eventually(lambda: client.get(PATH).text != "")
        fill(own_server, 15_000)
        for number in range(20):
            leave(own_server, token, number / 400)
        lines = client.get(PATH).text.splitlines()
    assert len(lines) > 15_000
    assert json.loads(lines[-1])["route"] == "/api/v1/decisions/export"
    own_server.stop()
    wrong = [entry for entry in own_server.log if entry.get("level") in ("error", "warning") or "raw" in entry]
    assert wrong == []

"""Requests in the decision log of a server, to replay."""

from __future__ import annotations

import sqlite3
from contextlib import closing

import httpx

from app.db.compact_ids import compact
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

# The row of the shipped policy that allows the first of them.
READ_TEAMS = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"


def ask(server: Server, path: str, request_id: str, token: str | None) -> None:
    """Send a request; it is in the log as soon as it is `stored`."""
    headers = {"X-Request-ID": request_id, **({"Authorization": f"Bearer {token}"} if token else {})}
    httpx.get(server.url + path, headers=headers, timeout=20)


def stored(server: Server, request_id: str) -> bool:
    """Whether the decision on a request is in the log."""
    with closing(sqlite3.connect(server.directory / "authz.db")) as database:
        found = database.execute("SELECT 1 FROM decision_rows WHERE request_id = ?", (compact(request_id),))
        return bool(found.fetchall())


def log_requests_of_two_users(server: Server, issuer: LiveIssuer) -> None:
    """Send requests of two users and one with an expired token, and wait until they are in the log."""
    reader = issuer.token(sub="user_reader", permissions=["catalog:read"])
    other = issuer.token(sub="user_other", permissions=["holdings:read"])
    for number in range(3):
        ask(server, "/api/v1/teams/", f"reader-{number}", reader)
    for number in range(2):
        ask(server, "/api/v1/teams/7/", f"other-{number}", other)
    ask(server, "/api/v1/teams/", "bad", issuer.token(exp=1))
    assert eventually(lambda: stored(server, "bad"))

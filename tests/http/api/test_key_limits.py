"""Bounds on the lifetime of keys, and the revocation of all keys of a user."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from tests.support.issuer import PARTY, LiveIssuer
from tests.support.server import DATABASE, Server

KEYS, REVOKE_ALL = "/api/v1/api-keys/", "/api/v1/all-keys/revoke/"
DAYS = 30


@pytest.fixture(scope="module")
def bounded(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with bounds on keys."""
    directory = tmp_path_factory.mktemp("bounded")
    made = Server(
        directory, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY, key_max_days=str(DAYS)
    )
    with made as started:
        yield started


def person(server: Server, issuer: LiveIssuer, subject: str, *permissions: str) -> httpx.Client:
    return server.client(issuer.token(sub=subject, permissions=list(permissions)))


def sql(server: Server, statement: str) -> list[Any]:
    with closing(sqlite3.connect(server.directory / DATABASE, timeout=10)) as database, database:
        return database.execute(statement).fetchall()


def ends_in(key: dict[str, Any]) -> timedelta:
    return datetime.fromisoformat(key["expires_at"]) - datetime.fromisoformat(key["created_at"])


def test_a_key_expires_after_the_maximum_lifetime(bounded: Server, issuer: LiveIssuer) -> None:
    with person(bounded, issuer, "user_bounded") as client:
        plain = client.post(KEYS, json={"name": "without an end"}).json()["api_key"]
        assert ends_in(plain) == timedelta(days=DAYS)
        soon = datetime.now(UTC) + timedelta(days=2)
        sooner = client.post(KEYS, json={"name": "sooner", "expires_at": soon.isoformat()}).json()["api_key"]
        assert datetime.fromisoformat(sooner["expires_at"]) - soon < timedelta(milliseconds=1)
        for late in (datetime.now(UTC) + timedelta(days=DAYS, minutes=1), datetime(9999, 12, 31, tzinfo=UTC)):
            refused = client.post(KEYS, json={"name": "later", "expires_at": late.isoformat()})
            assert refused.status_code == 400
            message = f"must be within {DAYS} days, the most that a key may live here"
            assert refused.json()["errors"] == [{"field": "expires_at", "message": message}]
        new = client.post(f"{KEYS}{plain['id']}/rotate/").json()["api_key"]
        assert ends_in(new) == timedelta(days=DAYS)
        short = client.post(f"{KEYS}{sooner['id']}/rotate/").json()["api_key"]
        assert timedelta(days=1) < ends_in(short) <= timedelta(days=2)


def test_rotation_applies_the_maximum_lifetime_to_an_older_key(bounded: Server, issuer: LiveIssuer) -> None:
    with person(bounded, issuer, "user_early") as client:
        key_id = client.post(KEYS, json={"name": "early"}).json()["api_key"]["id"]
        for ends in ("NULL", "'9999-12-31 23:59:59.000000'"):
            sql(bounded, f"UPDATE api_keys SET expires_at = {ends} WHERE id = {key_id}")
            rotated = client.post(f"{KEYS}{key_id}/rotate/").json()
            assert ends_in(rotated["api_key"]) == timedelta(days=DAYS)
            key_id = rotated["api_key"]["id"]


def test_all_keys_of_a_user_are_revoked_together(bounded: Server, issuer: LiveIssuer) -> None:
    with person(bounded, issuer, "user_leaves", "catalog:read") as client:
        issued = [client.post(KEYS, json={"name": "k", "scopes": ["catalog:read"]}).json() for _ in range(3)]
    with person(bounded, issuer, "user_stays", "catalog:read") as client:
        other = client.post(KEYS, json={"name": "k", "scopes": ["catalog:read"]}).json()["plaintext"]

    def teams(token: str) -> int:
        with bounded.client(token) as client:
            return client.get("/api/v1/teams/").status_code

    assert {teams(each["plaintext"]) for each in issued} == {200}
    body = {"owner": "user_leaves"}
    for refused in (
        person(bounded, issuer, "user_leaves", "catalog:read", "keys:read"),
        bounded.client(other),
        bounded.client(),
    ):
        with refused as client:
            assert client.post(REVOKE_ALL, json=body).status_code in (401, 403)
    assert {teams(each["plaintext"]) for each in issued} == {200}
    with person(bounded, issuer, "user_officer", "keys:write") as client:
        for bad in ({}, {"owner": ""}, {"owner": "a\x00b"}, {**body, "more": 1}, {"owner": None}, {"owner": "x" * 513}):
            assert client.post(REVOKE_ALL, json=bad).status_code == 400, bad
        assert client.post(REVOKE_ALL, json=body).json() == {"owner": "user_leaves", "revoked": 3}
        assert client.post(REVOKE_ALL, json=body).json() == {"owner": "user_leaves", "revoked": 0}
        assert client.post(REVOKE_ALL, json={"owner": "' OR 1=1 --"}).json()["revoked"] == 0
    assert {teams(each["plaintext"]) for each in issued} == {401}
    assert teams(other) == 200
    rows = sql(
        bounded,
        "SELECT author, request_id <> '', count(*) FROM admin_actions WHERE action = 'key.revoke' GROUP BY 1, 2",
    )
    assert rows == [("user_officer", 1, 3)]

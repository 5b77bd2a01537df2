"""Rotating a key over HTTP: a successor with the same scopes, and a grace period in which both work."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

KEYS = "/api/v1/api-keys/"
_people = count(1)


class Owner:
    """A user with a key."""

    def __init__(self, server: Server, issuer: LiveIssuer, **body: Any) -> None:
        self.server = server
        self.subject = f"user_rotates_{next(_people)}_{datetime.now(UTC).timestamp()}"
        self.token = issuer.token(sub=self.subject, permissions=["catalog:read", "catalog:write"])
        with server.client(self.token) as client:
            issued = client.post(KEYS, json={"name": "CI", "scopes": ["catalog:read"], **body})
        assert issued.status_code == 201, issued.text
        self.key, self.plaintext = issued.json()["api_key"], issued.json()["plaintext"]

    def rotate(self, body: dict[str, Any] | None = None, token: str | None = None) -> httpx.Response:
        with self.server.client(token or self.token) as client:
            return client.post(f"{KEYS}{self.key['id']}/rotate/", json=body)

    def keys(self) -> list[dict[str, Any]]:
        with self.server.client(self.token) as client:
            listed: list[dict[str, Any]] = client.get(KEYS).json()
            return listed


@pytest.fixture
def owner(server: Server, issuer: LiveIssuer) -> Owner:
    return Owner(server, issuer)


def teams(server: Server, token: str) -> int:
    with server.client(token) as client:
        return client.get("/api/v1/teams/").status_code


def until(key: dict[str, Any]) -> datetime:
    return datetime.fromisoformat(key["expires_at"])


def test_the_new_key_has_the_scopes_of_the_old_one_and_both_work_for_a_day(owner: Owner) -> None:
    assert teams(owner.server, owner.plaintext) == 200
    answer = owner.rotate()
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"api_key", "plaintext", "warning", "old_api_key"}
    new, old = body["api_key"], body["old_api_key"]
    assert (new["name"], new["environment"], new["scopes"]) == ("CI", "live", ["catalog:read"])
    assert new["id"] != old["id"] == owner.key["id"]
    assert new["expires_at"] is None
    assert abs(until(old) - datetime.now(UTC) - timedelta(days=1)) < timedelta(seconds=20)
    assert old["is_active"] is new["is_active"] is True
    assert owner.keys() == [new, {**old, "last_used_at": owner.keys()[1]["last_used_at"]}]
    assert teams(owner.server, owner.plaintext) == teams(owner.server, body["plaintext"]) == 200


def test_after_the_grace_period_the_old_key_is_refused(owner: Owner) -> None:
    assert teams(owner.server, owner.plaintext) == 200
    new = owner.rotate({"grace_seconds": 1}).json()["plaintext"]
    assert eventually(lambda: teams(owner.server, owner.plaintext) == 401, 4)
    assert teams(owner.server, new) == 200


def test_without_a_grace_period_the_very_next_request_is_refused(issuer: LiveIssuer, tmp_path_factory: Any) -> None:
    """Also if the server caches the old key for a minute."""
    directory = tmp_path_factory.mktemp("remembering")
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, key_cache_seconds="60") as server:
        owner = Owner(server, issuer)
        assert teams(server, owner.plaintext) == 200
        answer = owner.rotate({"grace_seconds": 0})
        with server.client(owner.plaintext) as client:
            refused = client.get("/api/v1/teams/")
    assert (refused.status_code, refused.json()) == (401, {"detail": "API key has expired."})
    assert answer.json()["old_api_key"]["is_active"] is False


def test_the_grace_period_does_not_extend_a_key(server: Server, issuer: LiveIssuer) -> None:
    ends = datetime.now(UTC) + timedelta(hours=1)
    owner = Owner(server, issuer, expires_at=ends.isoformat())
    body = owner.rotate({"grace_seconds": 7200}).json()
    assert until(body["old_api_key"]) == ends
    assert abs(until(body["api_key"]) - datetime.now(UTC) - timedelta(hours=1)) < timedelta(seconds=20)


@pytest.mark.parametrize(
    "body",
    [
        {"grace_seconds": -1},
        {"grace_seconds": 30 * 86_400 + 1},
        {"grace_seconds": "60"},
        {"grace_seconds": 1.5},
        {"grace_seconds": True},
        {"grace_seconds": None},
        {"scopes": []},
    ],
    ids=str,
)
def test_an_invalid_body_changes_nothing(owner: Owner, body: dict[str, Any]) -> None:
    answer = owner.rotate(body)
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == [next(iter(body))]
    assert owner.keys() == [owner.key]


@pytest.mark.parametrize("sent", [b"[]", b"{", b"grace_seconds=1"])
def test_a_body_that_is_no_json_object_changes_nothing(owner: Owner, sent: bytes) -> None:
    with owner.server.client(owner.token) as client:
        path = f"{KEYS}{owner.key['id']}/rotate/"
        assert client.post(path, content=sent, headers={"Content-Type": "application/json"}).status_code == 400
        assert client.post(path, content=sent, headers={"Content-Type": "text/plain"}).status_code == 415
    assert owner.keys() == [owner.key]


def test_the_key_of_another_user_is_not_found(owner: Owner, issuer: LiveIssuer) -> None:
    other = owner.rotate(token=issuer.token(sub="user_other", permissions=["catalog:read"]))
    with owner.server.client(owner.token) as client:
        answers = [other, *(client.post(f"{KEYS}{spelled}/rotate/") for spelled in ("999999999", 10**30, "first"))]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, '{"detail":"API key not found."}')}
    assert owner.keys() == [owner.key]


def test_a_key_may_not_rotate_keys(owner: Owner) -> None:
    assert owner.rotate(token=owner.plaintext).status_code == 403
    assert owner.keys() == [owner.key]


def test_a_lost_scope_cannot_be_passed_to_a_successor(owner: Owner, issuer: LiveIssuer) -> None:
    answer = owner.rotate(token=issuer.token(sub=owner.subject, permissions=["catalog:write"]))
    assert answer.status_code == 403
    assert 'scope="catalog:read"' in answer.headers["www-authenticate"]
    assert owner.keys() == [owner.key]


@pytest.mark.parametrize("grace", [0, 3600], ids=["after the grace", "during the grace"])
def test_a_second_rotation_is_refused_and_names_the_successor(owner: Owner, grace: int) -> None:
    new = owner.rotate({"grace_seconds": grace}).json()["api_key"]
    before = owner.keys()
    named = f"This key was rotated before, and its successor is key {new['id']} ({new['key_prefix']}…): "
    for _ in range(2):
        again = owner.rotate({"grace_seconds": 7})
        assert (again.status_code, again.json()) == (409, {"detail": f"{named}rotate that one."})
    assert owner.keys() == before
    with owner.server.client(owner.token) as client:
        assert client.post(f"{KEYS}{new['id']}/revoke/").status_code == 200
        again = owner.rotate()
        assert again.json() == {"detail": f"{named}it is revoked, so issue a new key."}
        client.post(f"{KEYS}{owner.key['id']}/revoke/")
    assert owner.rotate().json() == again.json()


def test_of_two_concurrent_rotations_one_succeeds_and_the_other_names_its_key(owner: Owner) -> None:
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: owner.rotate(), range(4)))
    (won,) = [answer for answer in answers if answer.status_code == 201]
    lost = [answer for answer in answers if answer.status_code == 409]
    assert len(lost) == 3
    assert all(f"its successor is key {won.json()['api_key']['id']} (" in answer.json()["detail"] for answer in lost)
    assert len(owner.keys()) == 2


def test_rotations_of_a_key_without_expiry_set_none(owner: Owner) -> None:
    for _ in range(3):
        answer = owner.rotate({"grace_seconds": 60})
        assert answer.status_code == 201
        assert answer.json()["api_key"]["expires_at"] is None
        owner.key = answer.json()["api_key"]


@pytest.mark.parametrize("days", [1, 90])
def test_repeated_rotations_keep_the_lifetime_of_the_first_key(server: Server, issuer: LiveIssuer, days: int) -> None:
    lifetime = timedelta(days=days)
    owner = Owner(server, issuer, expires_at=(datetime.now(UTC) + lifetime).isoformat())
    for _ in range(3):
        answer = owner.rotate({"grace_seconds": 60}).json()
        owner.key = answer["api_key"]
        assert abs(until(owner.key) - datetime.now(UTC) - lifetime) < timedelta(seconds=20)


@pytest.mark.parametrize("ends", ["9999-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z", "9000-01-01T00:00:00Z"])
def test_a_key_with_the_latest_expiry_can_be_rotated(server: Server, issuer: LiveIssuer, ends: str) -> None:
    owner = Owner(server, issuer, expires_at=ends)
    for _ in range(2):
        answer = owner.rotate({"grace_seconds": 0})
        assert answer.status_code == 201, answer.text
        assert answer.json()["api_key"]["expires_at"] > "9000"
        assert teams(server, answer.json()["plaintext"]) == 200
        owner.key = answer.json()["api_key"]


def test_a_scope_outside_the_catalogue_is_not_passed_on(owner: Owner) -> None:
    with closing(sqlite3.connect(owner.server.directory / "authz.db")) as database, database:
        database.execute("UPDATE api_keys SET scopes = '[\"catalog:gone\"]' WHERE id = ?", (owner.key["id"],))
    answer = owner.rotate()
    assert answer.status_code == 409
    assert answer.json()["detail"] == "No longer in the catalogue: catalog:gone. Issue a new key without."
    assert len(owner.keys()) == 1


def test_rotation_is_in_the_openapi_document(server: Server) -> None:
    with server.client() as client:
        document = client.get("/openapi.json").json()
    operation = document["paths"]["/api/v1/api-keys/{key_id}/rotate"]["post"]
    assert {"201", "400", "404", "409"} <= set(operation["responses"])
    assert "grace_seconds" in str(document["components"]["schemas"])
    assert not operation.get("requestBody", {}).get("required")

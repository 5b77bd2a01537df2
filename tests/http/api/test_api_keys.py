"""API keys over HTTP: issue, listing, scopes and revocation."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from tests.cli.command import command
from tests.support.issuer import PARTY, LiveIssuer
from tests.support.secret_texts import PLAIN, SECRETS
from tests.support.server import Server, eventually

KEYS = "/api/v1/api-keys/"
FIELDS = {
    "id",
    "name",
    "environment",
    "key_prefix",
    "scopes",
    "created_at",
    "last_used_at",
    "expires_at",
    "revoked_at",
    "is_active",
}
WARNING = "Store this token now — it will not be shown again. If you lose it, revoke this key and issue a new one."
_people = count(1)


@pytest.fixture
def subject() -> str:
    """A user without keys."""
    return f"user_{next(_people)}_{datetime.now(UTC).timestamp()}"


def issue(server: Server, token: str, **body: Any) -> httpx.Response:
    with server.client(token) as client:
        return client.post(KEYS, json={"name": "CI", **body})


def teams(server: Server, token: str) -> httpx.Response:
    with server.client(token) as client:
        return client.get("/api/v1/teams/")


def test_a_key_is_issued_with_its_plaintext_once(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    answer = issue(server, token, scopes=["catalog:read"])
    assert answer.status_code == 201
    assert answer.headers["cache-control"] == "no-store"
    body = answer.json()
    assert set(body) == {"api_key", "plaintext", "warning"}
    assert body["warning"] == WARNING
    assert re.fullmatch(r"grd_live_[0-9a-f]{48}", body["plaintext"])
    key = body["api_key"]
    assert set(key) == FIELDS
    assert key["key_prefix"] == body["plaintext"][:17]
    assert key["scopes"] == ["catalog:read"]
    assert key["is_active"] is True
    assert key["last_used_at"] is key["expires_at"] is key["revoked_at"] is None
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", key["created_at"])
    with server.client(token) as client:
        assert client.get(KEYS).json() == [key]
        assert client.get(f"{KEYS}{key['id']}/").json() == key
    assert teams(server, body["plaintext"]).status_code == 200


def test_the_plaintext_is_neither_stored_nor_logged(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    plaintext = issue(server, token, scopes=["catalog:read"]).json()["plaintext"]
    assert teams(server, plaintext).status_code == 200
    for file in server.directory.glob("authz.db*"):
        assert plaintext.encode() not in file.read_bytes()
        assert plaintext[9:].encode() not in file.read_bytes()
    log = "\n".join(server.written_lines())
    assert plaintext not in log
    assert plaintext[18:] not in log
    assert token not in log


def test_a_revoked_key_is_refused_by_the_next_request(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    body = issue(server, token, scopes=["catalog:read"]).json()
    path = f"{KEYS}{body['api_key']['id']}/revoke/"
    assert teams(server, body["plaintext"]).status_code == 200
    with server.client(token) as client:
        first = client.post(path)
        refused = teams(server, body["plaintext"])
        again = client.post(path)
    assert first.status_code == again.status_code == 200
    assert first.json()["revoked_at"] == again.json()["revoked_at"] is not None
    assert first.json()["is_active"] is False
    assert refused.status_code == 401
    assert refused.json() == {"detail": "API key has been revoked."}


def test_an_expired_key_is_refused(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    soon = datetime.now(UTC) + timedelta(seconds=1)
    plaintext = issue(server, token, scopes=["catalog:read"], expires_at=soon.isoformat()).json()["plaintext"]
    assert eventually(lambda: teams(server, plaintext).status_code == 401)
    assert teams(server, plaintext).json() == {"detail": "API key has expired."}


def test_the_key_of_another_user_is_not_found(server: Server, issuer: LiveIssuer, subject: str) -> None:
    key_id = issue(server, issuer.token(sub=subject)).json()["api_key"]["id"]
    with server.client(issuer.token(sub=f"{subject}_other")) as other:
        answers = [
            other.get(f"{KEYS}{key_id}/"),
            other.post(f"{KEYS}{key_id}/revoke/"),
            other.get(f"{KEYS}999999999/"),
            other.post(f"{KEYS}999999999/revoke/"),
            other.get(f"{KEYS}{10**30}/"),
            other.get(f"{KEYS}+{key_id}/"),
            other.get(f"{KEYS}first/"),
        ]
        assert other.get(KEYS).json() == []
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, '{"detail":"API key not found."}')}


@pytest.mark.parametrize("scopes", [[], ["catalog:read", "catalog:write", "policies:write"]])
def test_a_key_never_manages_keys(server: Server, issuer: LiveIssuer, subject: str, scopes: list[str]) -> None:
    body = issue(server, issuer.token(sub=subject, permissions=scopes), scopes=scopes).json()
    with server.client(body["plaintext"]) as client:
        answers = [
            client.get(KEYS),
            client.post(KEYS, json={"name": "more"}),
            client.get(f"{KEYS}{body['api_key']['id']}/"),
            client.post(f"{KEYS}{body['api_key']['id']}/revoke/"),
        ]
    for answer in answers:
        assert answer.status_code == 403
        assert answer.json() == {"detail": "Token is missing one or more required permissions."}
        assert "scope=" not in answer.headers["www-authenticate"].replace("insufficient_scope", "")


def test_a_key_holds_no_more_than_its_issuer(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    answer = issue(server, token, scopes=["catalog:read", "catalog:write", "holdings:read"])
    assert answer.status_code == 403
    assert 'scope="catalog:write holdings:read"' in answer.headers["www-authenticate"]
    with server.client(token) as client:
        assert client.get(KEYS).json() == []


def test_permissions_of_a_role_may_become_scopes(own_server: Server, issuer: LiveIssuer) -> None:
    roles = own_server.policy_dir / "roles.csv"
    roles.write_text(roles.read_text().replace("# end\n", "g, user:user_editor, role:editor\n# end\n"))
    token = issuer.token(sub="user_editor", permissions=[])
    assert eventually(lambda: issue(own_server, token, scopes=["holdings:write"]).status_code == 201)
    assert issue(own_server, token, scopes=["policies:write"]).status_code == 403
    plaintext = issue(own_server, token, scopes=["catalog:write"]).json()["plaintext"]
    assert teams(own_server, plaintext).status_code == 403, "a key has its scopes, not its owner's roles"


@pytest.mark.parametrize(
    "body",
    [
        {"name": ""},
        {"name": "  "},
        {"name": "x" * 121},
        {"name": "a\nb"},
        {"name": None},
        {"name": 7},
        {"environment": "prod"},
        {"environment": None},
        {"scopes": ["catalog:fly"]},
        {"scopes": ["*"]},
        {"scopes": ["catalog:*"]},
        {"scopes": ["auth:jwt"]},
        {"scopes": ["role:admin"]},
        {"scopes": ["anyone"]},
        {"scopes": ["c\u0430talog:read"]},
        {"scopes": ["catalog:read", "catalog:read"]},
        {"scopes": "catalog:read"},
        {"scopes": None},
        {"scopes": [["catalog:read"]]},
        {"expires_at": "2020-01-01T00:00:00Z"},
        {"expires_at": "2030-01-01T00:00:00"},
        {"expires_at": "tomorrow"},
        {"expires_at": 4102444800},
        {"is_active": True},
        {"id": 1},
        {"subject": "user_other"},
        {"digest": "x"},
    ],
)
def test_an_invalid_body_is_refused(server: Server, issuer: LiveIssuer, subject: str, body: dict[str, Any]) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    answer = issue(server, token, **body)
    assert answer.status_code == 400
    assert {error["field"].split(".")[0] for error in answer.json()["errors"]} == {next(iter(body))}
    with server.client(token) as client:
        assert client.get(KEYS).json() == []


def test_keys_are_pinned_to_the_environments_of_a_deployment(issuer: LiveIssuer, tmp_path_factory: Any) -> None:
    directory = tmp_path_factory.mktemp("pinned")
    token = issuer.token(permissions=["catalog:read"])
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url) as both:
        test_key = issue(both, token, scopes=["catalog:read"], environment="test").json()["plaintext"]
        assert test_key.startswith("grd_test_")
        assert teams(both, test_key).status_code == 200
    with Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, key_environments="live") as live:
        refused = teams(live, test_key)
        assert (refused.status_code, refused.json()) == (401, {"detail": "Invalid API key."})
        assert issue(live, token, environment="test").status_code == 400


def test_the_last_use_is_written_about_once_a_minute(own_server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    body = issue(own_server, token, scopes=["catalog:read"]).json()

    def last_used(server: Server) -> str | None:
        with server.client(token) as client:
            moment: str | None = client.get(f"{KEYS}{body['api_key']['id']}/").json()["last_used_at"]
            return moment

    assert last_used(own_server) is None
    teams(own_server, body["plaintext"])
    assert eventually(lambda: last_used(own_server) is not None, 15)
    first = last_used(own_server)
    assert teams(own_server, body["plaintext"]).status_code == 200
    own_server.stop()  # writes the remaining uses
    with Server(own_server.directory, jwks_url=issuer.jwks_url, issuer=issuer.url, authorized_parties=PARTY) as again:
        assert last_used(again) == first


def test_an_operator_lists_and_revokes_keys_by_command(server: Server, issuer: LiveIssuer, subject: str) -> None:
    token = issuer.token(sub=subject, permissions=["catalog:read"])
    body = issue(server, token, name="to be revoked", scopes=["catalog:read"]).json()
    assert teams(server, body["plaintext"]).status_code == 200

    listed = command("keys", "list", "--json", env=server.env)
    assert body["api_key"]["key_prefix"] in listed.stdout
    assert body["plaintext"] not in listed.stdout
    revoked = command("keys", "revoke", str(body["api_key"]["id"]), env=server.env)
    assert revoked.returncode == 0, revoked.stderr
    # Another process revoked it: this server may remember the key for AUTHZ_KEY_CACHE_SECONDS, 1 by default.
    assert eventually(lambda: teams(server, body["plaintext"]).status_code == 401, 2)
    missing = command("keys", "revoke", "999999999", env=server.env)
    assert missing.returncode == 1
    assert "there is no key 999999999" in missing.stderr


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_no_name(server: Server, issuer: LiveIssuer, subject: str, name: str) -> None:
    message = "must not contain an API key or a token, since it is stored and shown"
    token = issuer.token(sub=subject, permissions=["catalog:write"])
    answer = issue(server, token, name=f"for {name}")
    assert (answer.status_code, answer.json()["errors"]) == (400, [{"field": "name", "message": message}])
    assert name not in answer.text


@pytest.mark.parametrize("name", PLAIN)
def test_a_name_may_resemble_a_secret(server: Server, issuer: LiveIssuer, subject: str, name: str) -> None:
    assert issue(server, issuer.token(sub=subject), name=name).json()["api_key"]["name"] == name

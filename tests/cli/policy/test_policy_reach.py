"""Commands that read the database: keys, and past requests."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator

import pytest

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually


class ServerWithKeys:
    """A server with two keys, one of them used, and commands on its database."""

    def __init__(self, server: Server, issuer: LiveIssuer) -> None:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTHZ_")}
        self._env = {**kept, "AUTHZ_DATABASE_URL": server.env["AUTHZ_DATABASE_URL"]}
        scopes = ["catalog:read", "catalog:write"]
        with server.client(issuer.token(sub="user_owner", permissions=scopes)) as owner:
            issued = [owner.post("/api/v1/api-keys/", json={"name": "k", "scopes": scopes}).json() for _ in range(2)]
            self.key, self.revoked = (each["api_key"]["id"] for each in issued)
            assert owner.post(f"/api/v1/api-keys/{self.revoked}/revoke").is_success
        with server.client(issued[0]["plaintext"]) as program:
            program.get("/api/v1/sources", headers={"X-Request-ID": "denied"})
            program.get("/api/v1/teams", headers={"X-Request-ID": "allowed"})
        assert eventually(lambda: '"allowed"' in self.authz(0, "decisions", "export"))

    def authz(self, code: int, *words: str) -> str:
        done = command(*words, env=self._env)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr


@pytest.fixture
def server_with_keys(own_server: Server, issuer: LiveIssuer) -> Iterator[ServerWithKeys]:
    yield ServerWithKeys(own_server, issuer)


def test_keys_and_requests_are_explained_from_the_database(server_with_keys: ServerWithKeys) -> None:
    key = str(server_with_keys.key)
    told = server_with_keys.authz(1, "policy", "explain", "--key", key, "GET", "/api/v1/sources")
    assert f"as     anyone auth:api_key catalog:read catalog:write env:live key:{key}" in told
    assert "Smallest grant that opens it: holdings:read" in told
    server_with_keys.authz(0, "policy", "explain", "--key", key, "GET", "/api/v1/teams")
    told = server_with_keys.authz(
        1, "policy", "explain", "--key", str(server_with_keys.revoked), "GET", "/api/v1/teams"
    )
    assert f"calls with key {server_with_keys.revoked} get 401: it was revoked at 2" in told
    assert "there is no key 4711" in server_with_keys.authz(
        1, "policy", "explain", "--key", "4711", "GET", "/api/v1/teams"
    )
    told = server_with_keys.authz(1, "policy", "explain", "--request", "denied")
    assert re.search(r"Then, under revision [0-9a-f]{16}:\n.*deny +user_owner key:\d+ +GET /api/v1/sources", told)
    assert "Smallest grant that opens it: holdings:read" in told.split("Now, under revision")[1]
    found = json.loads(server_with_keys.authz(0, "policy", "explain", "--request", "allowed", "--json"))
    assert (found["then"]["verdict"], found["now"]["allowed"], found["others"]) == ("allow", True, 0)
    assert "no decision on never is in the log" in server_with_keys.authz(1, "policy", "explain", "--request", "never")


def test_reach_and_usage_of_a_key_are_printed(server_with_keys: ServerWithKeys) -> None:
    key = str(server_with_keys.key)
    assert re.search(
        r"GET\|HEAD +/api/v1/teams/\{team_id\} +catalog.csv:7",
        server_with_keys.authz(0, "policy", "reach", "--key", key),
    )
    told = server_with_keys.authz(0, "policy", "who", "POST", "/api/v1/teams", "--keys")
    assert f"\nActive keys that reach it:\n  {key} of user_owner\n" in told
    assert f"{server_with_keys.revoked} of" not in told
    told = server_with_keys.authz(0, "policy", "who", "POST", "/api/v1/teams", "--keys", "--after", key)
    assert "No active key reaches it." in told
    assert "get 401" in server_with_keys.authz(1, "policy", "reach", "--key", str(server_with_keys.revoked))
    told = server_with_keys.authz(1, "policy", "usage", "--key", key)
    assert re.search(r"catalog:read  used 1 time, last 2.*\n  catalog:write  never used\n", told)
    assert "These scopes would suffice: catalog:read\nThe log begins at 2" in told
    found = json.loads(server_with_keys.authz(1, "policy", "usage", "--key", key, "--json"))
    assert (found["unused"], found["sufficient_scopes"], found["no_longer_allowed"]) == (
        ["catalog:write"],
        ["catalog:read"],
        [],
    )


@pytest.mark.parametrize(
    "words",
    [
        "explain GET /api/v1/teams",
        "explain --as auth:jwt",
        "explain --as auth:jwt --key 1 GET /api/v1/teams",
        "explain --request x GET /api/v1/teams",
        "reach",
        "reach --as auth:jwt --key 1",
        "reach --as catlog:read",
        "who GET /api/v1/tems",
        "who PUT /api/v1/teams",
        "usage",
    ],
)
def test_an_invalid_question_is_a_usage_error(words: str) -> None:
    done = command("policy", *words.split())
    assert done.returncode == 2, done.stdout + done.stderr

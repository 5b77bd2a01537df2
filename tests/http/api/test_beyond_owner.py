"""Keys beyond their owner over HTTP, as in `authz keys check`, in pages."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing
from typing import Any

import httpx

from tests.cli.command import command
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually

BEYOND, KEYS = "/api/v1/all-keys/beyond-owner/", "/api/v1/api-keys/"


def pages(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    """Every page of the list."""
    found = [client.get(BEYOND, params=query)]
    while (following := found[-1].json()["next"]) is not None:
        found.append(client.get(following))
    assert {page.status_code for page in found} == {200}
    return [page.json() for page in found]


def results(client: httpx.Client, **query: str) -> list[dict[str, Any]]:
    return [each for page in pages(client, **query) for each in page["results"]]


def sql(server: Server, statement: str) -> None:
    with closing(sqlite3.connect(server.directory / DATABASE, timeout=10)) as database, database:
        database.execute(statement)


def issue(server: Server, issuer: LiveIssuer, owner: str, *scopes: str) -> int:
    with server.client(issuer.token(sub=owner, permissions=list(scopes))) as client:
        answer = client.post(KEYS, json={"name": "k", "scopes": list(scopes)})
        assert answer.status_code == 201, answer.text
        key_id: int = answer.json()["api_key"]["id"]
    return key_id


def test_the_list_equals_that_of_the_command(own_server: Server, issuer: LiveIssuer) -> None:
    leaver = issue(own_server, issuer, "user_leaver", "catalog:read", "holdings:read")
    issue(own_server, issuer, "user_stays", "catalog:read")
    with own_server.client(issuer.token(sub="user_admin", permissions=["keys:read"])) as admin:
        # The grants of the last token of an owner are in the log with a short delay.
        assert eventually(lambda: results(admin) == [])
        with own_server.client(issuer.token(sub="user_leaver", permissions=["catalog:read"])) as client:
            assert client.get("/api/v1/teams").status_code == 200
        assert eventually(lambda: results(admin) != [])
        (page,) = pages(admin)
        (found,) = page["results"]
        assert (found["id"], found["owner"]) == (leaver, "user_leaver")
        assert (found["counting"], found["lost"]) == (["holdings:read"], [])
        assert found["token_seen"]
        assert results(admin, owner="user_leaver") == [found]
        assert results(admin, owner="user_stays") == []
        assert results(admin, owner="' OR 1=1 --") == []

        printed = json.loads(command("keys", "check", "--json", env={**os.environ, **own_server.env}).stdout)
        assert page["revision"] == printed["revision"]
        assert [{**each, "token_seen": None} for each in printed["keys"]] == [{**found, "token_seen": None}]

        sql(own_server, "UPDATE api_keys SET revoked_at = created_at")
        assert results(admin) == []


def test_each_page_checks_a_hundred_keys(own_server: Server, issuer: LiveIssuer) -> None:
    issue(own_server, issuer, "user_many", "catalog:read")
    columns = "subject, name, environment, key_prefix, scopes, created_at, token_grants"
    sql(
        own_server,
        f"INSERT INTO api_keys ({columns}, digest) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n "
        "WHERE i < 220) SELECT CASE WHEN i <= 110 THEN 'user_gone' ELSE subject END, name, environment, key_prefix, "
        "scopes, created_at, token_grants, CAST(printf('%032d', i) AS BLOB) FROM n, api_keys",
    )
    with own_server.client(issuer.token(sub="user_admin", permissions=["keys:read"])) as admin:
        assert eventually(lambda: all(each["owner"] == "user_gone" for each in results(admin)))
        found = pages(admin)
        assert [len(page["results"]) for page in found] == [99, 11, 0]
        ids = [each["id"] for page in found for each in page["results"]]
        assert ids == sorted(set(ids))
        assert [len(page["results"]) for page in pages(admin, owner="user_gone")] == [100, 10]

        of_one = admin.get(BEYOND, params={"owner": "user_gone"}).json()["next"]
        cursor = of_one.partition("cursor=")[2]
        for query in ({"cursor": cursor}, {"cursor": "x"}, {"owner": ""}, {"owner": "a\0b"}, {"owner": "a" * 513}):
            assert admin.get(BEYOND, params=query).status_code == 400, query
        assert admin.head(BEYOND).status_code == 200


def test_the_list_needs_keys_read_and_a_user(own_server: Server, issuer: LiveIssuer) -> None:
    with own_server.client(None) as stranger:
        assert stranger.get(BEYOND).status_code == 401
    with own_server.client(issuer.token(permissions=["keys:write", "policies:read"])) as other:
        assert other.get(BEYOND).status_code == 403
    with own_server.client(issuer.token(permissions=["keys:read"])) as admin:
        key = admin.post(KEYS, json={"name": "k", "scopes": ["keys:read"]}).json()["plaintext"]
        assert admin.get(BEYOND).status_code == 200
    with own_server.client(key) as by_key:
        assert by_key.get(BEYOND).status_code == 403

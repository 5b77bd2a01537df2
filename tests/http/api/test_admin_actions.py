"""The admin log over HTTP: permissions, filters, pages and hostile text."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server

LOG = "/api/v1/admin-actions/"
KEYS = "/api/v1/api-keys/"
FIELDS = {
    "id",
    "time",
    "action",
    "target",
    "actor",
    "door",
    "method",
    "key_id",
    "client_id",
    "impersonator",
    "session_id",
    "token_id",
    "revision",
    "request_id",
    "message",
    "details",
}


@pytest.fixture
def auditor(server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with server.client(issuer.token(sub="user_auditor", permissions=["audit:read"])) as client:
        yield client


def issue(server: Server, issuer: LiveIssuer, subject: str, **claims: Any) -> dict[str, Any]:
    """Issue a key."""
    with server.client(issuer.token(sub=subject, permissions=["catalog:read"], **claims)) as client:
        answer = client.post(KEYS, json={"name": "k", "scopes": ["catalog:read"]}, headers={"X-Request-ID": "made-1"})
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


def get(client: httpx.Client, **filters: Any) -> list[dict[str, Any]]:
    answer = client.get(LOG, params=filters)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()
    return found


def test_an_entry_states_actor_action_and_target(server: Server, issuer: LiveIssuer, auditor: httpx.Client) -> None:
    made = issue(server, issuer, "user_logged", jti="token-1")
    (row,) = get(auditor, actor="user_logged")
    assert row.keys() == FIELDS
    assert row.pop("time").endswith("Z")
    assert isinstance(row.pop("id"), int)
    with server.client(issuer.token(permissions=["policies:read"])) as client:
        revision = client.get("/api/v1/policies").json()["revision"]
    key = made["api_key"]
    assert row == {
        "action": "key.issue",
        "target": f"key:{key['id']}",
        "actor": "user_logged",
        "door": "api",
        "method": "jwt",
        "key_id": None,
        "client_id": None,
        "impersonator": None,
        "session_id": None,
        "token_id": "token-1",
        "revision": revision,
        "request_id": "made-1",
        "message": f"{key['key_prefix']} of user_logged",
        "details": {
            "key_prefix": key["key_prefix"],
            "name": "k",
            "owner": "user_logged",
            "scopes": ["catalog:read"],
            "expires_at": None,
        },
    }
    acted = issuer.token(sub="user_logged", act={"iss": "https://issuer.example", "sub": "user_support"})
    with server.client(acted) as client:
        assert client.post(f"{KEYS}{key['id']}/revoke/").status_code == 200
    newest = get(auditor, actor="user_logged")[0]
    assert (newest["action"], newest["target"], newest["impersonator"]) == (
        "key.revoke", f"key:{key['id']}", "user_support",
    )  # fmt: skip


def test_an_act_of_a_program_states_its_key(server: Server, issuer: LiveIssuer, auditor: httpx.Client) -> None:
    with server.client(issuer.token(sub="user_robot", permissions=["policies:write"])) as client:
        robot = client.post(KEYS, json={"name": "robot", "scopes": ["policies:write"]}).json()
    with server.client(robot["plaintext"]) as client:
        assert client.post("/api/v1/policies/reload").json()["outcome"] == "unchanged"
    newest = get(auditor, actor="user_robot")[0]
    assert (newest["action"], newest["method"], newest["token_id"]) == ("policy.reload", "api_key", None)
    assert newest["key_id"] == robot["api_key"]["id"]
    assert newest["target"] == newest["revision"]
    assert robot["plaintext"] not in auditor.get(LOG).text


def test_the_admin_log_needs_audit_read(server: Server, issuer: LiveIssuer) -> None:
    with server.client() as stranger:
        refused = stranger.get(LOG)
        assert (refused.status_code, refused.headers["WWW-Authenticate"]) == (401, "Bearer")
    others = ["catalog:read", "policies:read", "policies:write", "decisions:read", "keys:read", "keys:write"]
    with server.client(issuer.token(permissions=others)) as client:
        refused = client.get(LOG)
        assert refused.status_code == 403
        assert refused.json() == {"detail": "Token is missing one or more required permissions."}
        assert 'scope="audit:read"' in refused.headers["WWW-Authenticate"]
        assert client.get(f"{LOG}?colour=red").status_code == 403, "before the query is read"
    with server.client(issuer.token(sub="user_auditor", permissions=["audit:read"])) as client:
        assert client.head(LOG).status_code == 200
        assert client.post(LOG).status_code == 405
        key = client.post(KEYS, json={"name": "siem", "scopes": ["audit:read"]}).json()["plaintext"]
    with server.client(key) as program:
        assert program.get(LOG).status_code == 200


def test_pages_contain_every_entry_once(server: Server, issuer: LiveIssuer, auditor: httpx.Client) -> None:
    with server.client(issuer.token(sub="user_paged", permissions=["catalog:read"])) as client:
        made = [client.post(KEYS, json={"name": "k"}).json()["api_key"]["id"] for _ in range(55)]
        for key_id in made:
            assert client.post(f"{KEYS}{key_id}/revoke/").status_code == 200
    seen: list[dict[str, Any]] = []
    query = f"{LOG}?actor=user_paged&since=1h"
    sizes = []
    while query:
        answer = auditor.get(query)
        seen += answer.json()
        sizes.append(len(answer.json()))
        link = answer.headers.get("Link")
        found = re.fullmatch(r'<(/api/v1/admin-actions/\?[!-~]+)>; rel="next"', link) if link else None
        assert bool(found) is bool(link)
        query = found[1] if found else ""
    assert sizes == [100, 10]
    assert [row["target"] for row in seen] == [f"key:{key_id}" for key_id in reversed(made * 2)]
    assert [row["id"] for row in seen] == sorted({row["id"] for row in seen}, reverse=True)
    cursor = re.search(r"cursor=([\w-]+)", auditor.get(f"{LOG}?actor=user_paged").headers["Link"])
    assert cursor
    for wrong in (f"cursor={cursor[1]}", f"actor=user_other&cursor={cursor[1]}", "cursor=x", "cursor="):
        refused = auditor.get(f"{LOG}?{wrong}")
        assert refused.status_code == 400, wrong
        assert "cursor" in refused.json()["detail"]


def test_each_filter_narrows(server: Server, issuer: LiveIssuer, auditor: httpx.Client) -> None:
    made = issue(server, issuer, "user_filtered")["api_key"]["id"]
    with server.client(issuer.token(sub="user_filtered", permissions=[])) as client:
        client.post(f"{KEYS}{made}/revoke/", headers={"X-Request-ID": "gone-1"})
    both = ["key.revoke", "key.issue"]

    def actions(**filters: str) -> list[str]:
        return [row["action"] for row in get(auditor, actor="user_filtered", **filters)]

    assert actions() == actions(action="key") == actions(target=f"key:{made}") == actions(since="1h") == both
    assert actions(action="key.revoke") == actions(request_id="gone-1") == ["key.revoke"]
    assert actions(action="policy") == actions(until="1h") == actions(since="2099-01-01") == []
    for query, field in (
        ("action=nothing", "action"),
        ("since=soon", "since"),
        ("until=2026-13-01", "until"),
        ("colour=red", "colour"),
        ("actor=a&actor=b", "actor"),
        (f"target={quote(chr(27))}", "target"),
    ):
        refused = auditor.get(f"{LOG}?{query}")
        assert refused.status_code == 400
        assert [error["field"] for error in refused.json()["errors"]] == [field], refused.text


@pytest.mark.parametrize(
    "subject", ['<script>alert(1)</script> "quoted"', "שלום ' OR 1=1 --", "田中さん 👩🏽", "a;b=c&d#e%00/../x"]
)
def test_hostile_names_are_returned_unchanged(
    server: Server, issuer: LiveIssuer, auditor: httpx.Client, subject: str
) -> None:
    made = issue(server, issuer, subject, jti="x" * 1000)
    (row,) = get(auditor, actor=subject)
    assert (row["actor"], row["target"]) == (subject, f"key:{made['api_key']['id']}")
    assert len(row["token_id"]) == 255
    answer = auditor.get(LOG, params={"actor": subject})
    assert answer.headers["content-type"] == "application/json"
    assert json.loads(answer.text)


def test_a_key_in_a_target_is_redacted(server: Server, issuer: LiveIssuer, auditor: httpx.Client) -> None:
    pasted = issue(server, issuer, "user_pastes")
    plaintext, token = pasted["plaintext"], issuer.token(sub="user_pastes", permissions=["apps:write", "keys:write"])
    with server.client(token) as client:
        for sub in (plaintext, f"for {plaintext}!", token[:100], plaintext.upper(), plaintext[9:]):
            assert client.post("/api/v1/oauth/people/block/", json={"sub": sub}).status_code == 200
    text = auditor.get(LOG, params={"actor": "user_pastes"}).text
    assert plaintext[9:] not in text.lower()
    assert token[:100] not in text
    assert text.count("[secret]") == 5
    assert pasted["api_key"]["key_prefix"] in text


def test_the_admin_log_is_in_the_openapi_document(server: Server) -> None:
    with server.client() as client:
        operation = client.get("/openapi.json").json()["paths"]["/api/v1/admin-actions"]["get"]
    assert operation["x-needs"] == [["audit:read"]]
    names = [parameter["name"] for parameter in operation["parameters"]]
    assert names == ["action", "actor", "target", "request_id", "since", "until", "cursor"]
    assert "Link" in operation["responses"]["200"]["headers"]
    assert "400" in operation["responses"]

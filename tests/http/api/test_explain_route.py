"""Explanations over HTTP: of grants, of a key in its current state, and of a past request."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

PATH = "/api/v1/policies/explain"
TEAMS = {"action": "GET", "resource": "/api/v1/teams/7"}
Json = dict[str, Any]


def security(server: Server, issuer: LiveIssuer, *permissions: str) -> httpx.Client:
    return server.client(issuer.token(sub="user_sec", permissions=["policies:read", *permissions]))


def issue(server: Server, issuer: LiveIssuer, *scopes: str) -> tuple[int, str]:
    with server.client(issuer.token(sub="user_owner", permissions=list(scopes))) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": list(scopes)}).json()
    return issued["api_key"]["id"], issued["plaintext"]


def explanation(client: httpx.Client, **body: Any) -> Json:
    answer = client.post(PATH, json=body)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def test_grants_are_explained_with_the_row_or_the_missing_grants(server: Server, issuer: LiveIssuer) -> None:
    with security(server, issuer) as client:
        allowed = explanation(client, grants=["catalog:read", "auth:jwt"], **TEAMS)["now"]
        assert allowed["allowed"] is True
        row = "p, catalog:read, /api/v1/teams/**, GET|HEAD, allow"
        assert allowed["rule"] == {"file": "catalog.csv", "line": 7, "column": 1, "row": row}
        assert allowed["as"] == ["anyone", "auth:jwt", "catalog:read"]
        denied = explanation(client, grants=["auth:jwt"], **TEAMS)["now"]
        assert (denied["allowed"], denied["remedy"], denied["opens_with"]) == (False, "grant", ["catalog:read"])
        assert (denied["near"][0]["row"], denied["near"][0]["lacks"]) == (row, ["catalog:read"])


def test_a_key_is_explained_with_its_current_grants(server: Server, issuer: LiveIssuer) -> None:
    key_id, _ = issue(server, issuer, "holdings:read")
    with security(server, issuer) as client:
        found = explanation(client, key_id=key_id, **TEAMS)
        assert found["key"]["scopes"] == ["holdings:read"]
        assert (found["now"]["allowed"], found["now"]["opens_with"]) == (False, ["catalog:read"])
        assert explanation(client, key_id=key_id, action="GET", resource="/api/v1/sources")["now"]["allowed"] is True
        with server.client(issuer.token(sub="user_owner")) as owner:
            assert owner.post(f"/api/v1/api-keys/{key_id}/revoke").is_success
        revoked = explanation(client, key_id=key_id, action="GET", resource="/api/v1/sources")
        assert revoked["now"] is None
        assert "get 401: it was revoked at 2" in revoked["note"]
        unknown = client.post(PATH, json={"key_id": 4711, **TEAMS})
        assert (unknown.status_code, unknown.json()["detail"]) == (404, "There is no API key 4711.")


def test_a_past_request_is_explained_then_and_now(own_server: Server, issuer: LiveIssuer) -> None:
    key_id, key = issue(own_server, issuer, "holdings:read")
    with own_server.client(key) as program:
        refused = program.get("/api/v1/teams/7", headers={"X-Request-ID": "once"})
        assert refused.status_code == 403
        assert set(refused.json()) == {"detail"}  # the caller itself sees no row and no grant
    with security(own_server, issuer, "decisions:read") as client:
        assert eventually(lambda: client.post(PATH, json={"request_id": "once"}).status_code == 200)
        found = explanation(client, request_id="once")
        then = found["then"]
        assert (then["key_id"], then["subject"], then["verdict"]) == (key_id, "user_owner", "deny")
        assert then["missing"] == ["catalog:read"]
        assert (found["now"]["allowed"], found["now"]["revision"]) == (False, then["revision"])
        file = own_server.policy_dir / "catalog.csv"
        widened = file.read_text().replace("p, catalog:read, /api/v1/teams", "p, holdings:read, /api/v1/teams")
        file.write_text(widened)
        assert eventually(lambda: explanation(client, request_id="once")["now"]["allowed"])
        found = explanation(client, request_id="once")
        assert found["now"]["rule"]["row"].startswith("p, holdings:read, /api/v1/teams")
        assert found["then"] == then
        assert found["now"]["revision"] != then["revision"]
        assert client.post(PATH, json={"request_id": "never"}).status_code == 404


def test_past_requests_need_decisions_read(server: Server, issuer: LiveIssuer) -> None:
    with server.client() as stranger:
        stranger.get("/api/v1/teams", headers={"X-Request-ID": "known"})
    with security(server, issuer, "decisions:read") as reader:
        assert eventually(lambda: reader.post(PATH, json={"request_id": "known"}).status_code == 200)
        with security(server, issuer) as client:
            answers = [client.post(PATH, json={"request_id": name}) for name in ("known", "unknown")]
        assert [answer.status_code for answer in answers] == [403, 403]
        assert answers[0].json() == answers[1].json()
        assert 'scope="decisions:read"' in answers[0].headers["WWW-Authenticate"]
        denied = {"request_id": answers[0].headers["X-Request-ID"], "verdict": "deny"}
        assert eventually(lambda: len(reader.get("/api/v1/decisions/", params=denied).json()["results"]) == 1)


def test_a_request_with_bad_credentials_has_no_explanation(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(exp=1)) as late:
        late.get("/api/v1/teams", headers={"X-Request-ID": "late"})
    with security(server, issuer, "decisions:read") as client:
        assert eventually(lambda: client.post(PATH, json={"request_id": "late"}).status_code == 200)
        found = explanation(client, request_id="late")
    assert found["now"] is None
    assert "the credentials were bad" in found["note"]


@pytest.mark.parametrize(
    ("body", "field", "said"),
    [
        ({}, "", "exactly one"),
        ({"grants": ["auth:jwt"], "key_id": 1, **TEAMS}, "", "exactly one"),
        ({"grants": ["auth:jwt"]}, "action", "is missing"),
        ({"request_id": "x", **TEAMS}, "resource", "remove it"),
        ({"grants": ["catlog:read"], **TEAMS}, "grants", "did you mean `catalog:read`?"),
        ({"grants": [], **TEAMS}, "grants", "give at least one"),
        ({"grants": ["auth:jwt"], "action": "GET", "resource": "/api/v1/tems"}, "resource", "callers get 404"),
        ({"grants": ["auth:jwt"], "action": "PUT", "resource": "/api/v1/teams"}, "action", "callers get 405"),
        ({"grants": ["auth:jwt"], "action": "GET", "resource": "/api/../x"}, "resource", "neither a plain path"),
        ({"grants": ["auth:jwt"], **TEAMS, "given": {"request": {"ipp": "1"}}}, "given", "`request.ipp`"),
        ({"key_id": "7", **TEAMS}, "key_id", "must be a whole number"),
        ({"key_id": True, **TEAMS}, "key_id", "must be a whole number"),
        ({"grants": ["auth:jwt"], **TEAMS, "extra": 1}, "extra", ""),
    ],
)
def test_an_invalid_question_is_refused_with_a_reason(
    server: Server, issuer: LiveIssuer, body: Json, field: str, said: str
) -> None:
    with security(server, issuer) as client:
        answer = client.post(PATH, json=body)
    assert answer.status_code == 400, answer.text
    errors = {error["field"]: error["message"] for error in answer.json()["errors"]}
    assert said in errors[field]


def test_explanations_need_policies_read(server: Server, issuer: LiveIssuer) -> None:
    with server.client(issuer.token(permissions=["policies:write", "decisions:read"])) as client:
        refused = client.post(PATH, json={"grants": ["auth:jwt"], **TEAMS})
    assert refused.status_code == 403
    assert 'scope="policies:read"' in refused.headers["WWW-Authenticate"]


def test_a_key_of_another_environment_gets_401_and_no_successor(own_server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_owner", permissions=["catalog:read", "policies:read"])
    with own_server.client(token) as client:
        body = {"name": "k", "scopes": ["catalog:read"]}
        keys = {
            environment: client.post("/api/v1/api-keys/", json={**body, "environment": environment}).json()
            for environment in ("live", "test")
        }
        for issued in keys.values():
            assert explanation(client, key_id=issued["api_key"]["id"], **TEAMS)["key"]["refused"] is None
    own_server.stop()
    own_server.lines.clear()
    own_server.env["AUTHZ_KEY_ENVIRONMENTS"] = "live"
    own_server.start()
    with own_server.client(token) as client:
        live, test = (keys[environment]["api_key"]["id"] for environment in ("live", "test"))
        found = explanation(client, key_id=test, **TEAMS)
        assert (found["now"], found["key"]["refused"]) == (None, "test keys are not accepted here")
        assert explanation(client, key_id=live, **TEAMS)["key"]["refused"] is None
        refused = client.post(f"/api/v1/api-keys/{test}/rotate/")
        detail = "Keys for test are no longer taken here: issue a new key."
        assert (refused.status_code, refused.json()) == (409, {"detail": detail})
        assert client.post(f"/api/v1/api-keys/{live}/rotate/").status_code == 201

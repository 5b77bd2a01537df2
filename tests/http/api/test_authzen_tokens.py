"""A token as the subject of an evaluation: verified and decided in one request."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

EVALUATION = "/access/v1/evaluation"
ASKS = ["decisions:evaluate", "tokens:introspect"]
Ask = Callable[..., dict[str, Any]]


def question(token: str, action: str, path: str, kind: str = "route", **more: Any) -> dict[str, Any]:
    return {
        "subject": {"type": "token", "id": token},
        "action": {"name": action},
        "resource": {"type": kind, "id": path},
        **more,
    }


@pytest.fixture
def asking(server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with server.client(issuer.token(sub="user_service", permissions=ASKS)) as client:
        yield client


@pytest.fixture
def ask(asking: httpx.Client) -> Ask:
    """The result of an evaluation."""

    def evaluate(token: str, action: str = "GET", path: str = "/api/v1/teams", **more: Any) -> dict[str, Any]:
        answer = asking.post(EVALUATION, json=question(token, action, path, **more))
        assert answer.status_code == 200, answer.text
        assert answer.headers["cache-control"] == "no-store"
        result: dict[str, Any] = answer.json()
        return result

    return evaluate


def test_a_person_is_named_and_decided(ask: Ask, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_ann", permissions=["catalog:read", "unknown:word"])
    subject = {"type": "user", "id": "user_ann", "permissions": ["catalog:read"]}
    assert ask(token) == {"decision": True, "context": {"status": 200, "subject": subject}}
    denied = ask(token, "POST")
    assert (denied["decision"], denied["context"]["status"], denied["context"]["subject"]) == (False, 403, subject)
    assert 'error="insufficient_scope"' in denied["context"]["challenge"]
    assert 'scope="catalog:write"' in denied["context"]["challenge"]


def test_the_party_that_acts_as_a_user_is_named_and_denied(ask: Ask, asking: httpx.Client, issuer: LiveIssuer) -> None:
    held = ["policies:read", "policies:write"]
    assert ask(issuer.token(permissions=held), "POST", "/api/v1/policies/publish")["decision"]
    found = ask(issuer.token(permissions=held, act={"sub": "support"}), "POST", "/api/v1/policies/publish")
    assert (found["decision"], found["context"]["subject"]["impersonator"]) == (False, "support")
    question: dict[str, Any] = {
        "subject": {"type": "user", "id": "user_test", "properties": {"permissions": held}},
        "action": {"name": "POST"},
        "resource": {"type": "route", "id": "/api/v1/policies/publish"},
    }
    assert asking.post("/access/v1/evaluation", json=question).json()["decision"]
    question["subject"]["properties"]["act"] = {"sub": "support"}
    assert not asking.post("/access/v1/evaluation", json=question).json()["decision"]


def test_a_key_is_not_its_owner(ask: Ask, server: Server, issuer: LiveIssuer) -> None:
    token = issuer.token(sub="user_owner", permissions=["catalog:read", "holdings:read"])
    with server.client(token) as client:
        issued = client.post("/api/v1/api-keys/", json={"name": "reader", "scopes": ["catalog:read"]}).json()
        found = ask(issued["plaintext"])
        assert found["decision"] is True
        assert found["context"]["subject"] == {
            "type": "key",
            "id": str(issued["api_key"]["id"]),
            "owner": "user_owner",
            "permissions": ["catalog:read"],
        }
        assert ask(issued["plaintext"], path="/api/v1/sources")["context"]["status"] == 403
        assert ask(issued["plaintext"], path="/api/v1/api-keys")["decision"] is False, "which only its owner may see"
        assert ask(token, path="/api/v1/api-keys")["decision"] is True
        assert client.post(f"/api/v1/api-keys/{issued['api_key']['id']}/revoke/").status_code == 200
    revoked = ask(issued["plaintext"])
    assert (revoked["decision"], revoked["context"]["status"]) == (False, 401)
    assert "subject" not in revoked["context"]


def test_a_token_that_is_not_accepted_is_a_401(ask: Ask, issuer: LiveIssuer) -> None:
    good = issuer.token(permissions=["catalog:read"])
    for bad in (
        issuer.token(exp=1),
        issuer.token(aud="another"),
        good[:-4] + "AAAA",
        "grd_live_" + secrets.token_hex(24),
        "grd_oat_" + secrets.token_hex(24),
        "grd_ort_" + secrets.token_hex(24),
        "x",
        " ",
        "ö",
        good + "\x00",
    ):
        found = ask(bad)
        assert (found["decision"], found["context"]["status"]) == (False, 401), bad
        assert found["context"].keys() == {"status", "challenge"}
        assert found["context"]["challenge"].startswith("Bearer error=")


def test_the_result_is_what_the_door_answers(ask: Ask, server: Server, issuer: LiveIssuer) -> None:
    held: tuple[list[str], ...] = (["catalog:read"], ["catalog:read", "holdings:read", "policies:read"], [])
    tokens = [issuer.token(sub="user_dave", permissions=permissions) for permissions in held]
    paths = ("/api/v1/teams", "/api/v1/sources", "/api/v1/policies", "/api/v1/api-keys", "/healthz", "/metrics")
    for token in (*tokens, issuer.token(exp=1)):
        with server.client(token) as client:
            for path in paths:
                answer = client.get(path, follow_redirects=True)
                context = ask(token, path=path)["context"]
                assert context["status"] == answer.status_code, (path, answer.text)
                assert context.get("challenge") == answer.headers.get("www-authenticate"), path


@pytest.mark.parametrize("path", ["/api/v1/teams/{team_id}", "/api/v1/{team_id}", "/api/v1/teams/}"])
def test_a_path_that_is_spelled_like_a_template_is_denied(ask: Ask, issuer: LiveIssuer, path: str) -> None:
    token = issuer.token(permissions=["catalog:read"])
    found = ask(token, path=path, options={"explain": True})
    assert (found["decision"], found["context"]["status"]) == (False, 403)
    assert found["context"]["reason"] == "a path that was sent has no `{`"
    assert ask(token, path="/api/v1/teams/%7Bteam_id%7D")["decision"] is True
    assert ask("x", path=path)["context"]["status"] == 401


def test_the_reason_is_there_on_request(ask: Ask, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read"])
    explained = ask(token, "POST", options={"explain": True})["context"]
    assert (explained["reason"], explained["missing"]) == ("missing grants", ["catalog:write"])
    assert ask(token, options={"explain": True})["context"]["rule"]["file"] == "catalog.csv"
    assert ask("x", options={"explain": True})["context"]["rule"] is None
    assert "no route" in ask(token, path="/nowhere", options={"explain": True})["context"]["reason"]
    assert ask(token, path="record-1", kind="record")["context"]["status"] == 403


def test_the_one_who_asks_may_introspect_tokens(server: Server, issuer: LiveIssuer) -> None:
    body = question(issuer.token(permissions=["catalog:read"]), "GET", "/api/v1/teams")
    with server.client(issuer.token(permissions=["decisions:evaluate"])) as client:
        answer = client.post(EVALUATION, json=body)
        assert answer.status_code == 403
        assert 'scope="tokens:introspect"' in answer.headers["www-authenticate"]
        assert answer.json() == {"detail": "Token is missing one or more required permissions."}
        assert client.post("/access/v1/evaluations", json=body).status_code == 403, "without items it is the same"


def test_a_token_is_not_searched_for_nor_an_item(asking: httpx.Client, issuer: LiveIssuer) -> None:
    token = issuer.token(permissions=["catalog:read"])
    body = question(token, "GET", "/api/v1/teams")
    items = {**body, "evaluations": [{}, {"subject": {"type": "token", "id": token}}], "options": {"explain": True}}
    for item in asking.post("/access/v1/evaluations", json=items).json()["evaluations"]:
        assert item["decision"] is False
        assert item["context"]["reason"] == "a subject of the type `token` has an evaluation of its own"
    found = asking.post("/access/v1/search/action", json={key: body[key] for key in ("subject", "resource")})
    assert found.json()["results"] == []
    for size, status in ((16_384, 200), (16_385, 400)):
        assert asking.post(EVALUATION, json=question("x" * size, "GET", "/api/v1/teams")).status_code == status


def test_no_token_is_logged(ask: Ask, asking: httpx.Client, server: Server, issuer: LiveIssuer) -> None:
    subject = f"user_{secrets.token_hex(4)}"
    good = issuer.token(sub=subject, permissions=["catalog:read"])
    made_up = "grd_live_" + secrets.token_hex(24)
    ask(good)
    ask(made_up)
    asking.post("/access/v1/evaluations", json={**question(made_up, "GET", "/x"), "evaluations": [{}]})
    with server.client(issuer.token(permissions=["decisions:read"])) as client:

        def rows() -> Any:
            return client.get("/api/v1/decisions/", params={"subject": subject}).json()["results"]

        assert eventually(lambda: len(rows()) == 1)
        newest = client.get("/api/v1/decisions/").text
    (row,) = [each for each in json.loads(newest)["results"] if each["subject"] == subject]
    assert (row["door"], row["method"], row["route"], row["verdict"]) == ("authzen", "jwt", "/api/v1/teams", "allow")
    for secret in (good, made_up):
        assert secret not in newest
        assert not [line for line in server.lines if secret in line]

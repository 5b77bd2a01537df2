"""What a user allowed, over the API and in the console, and the block of a person."""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.cli.command import command
from tests.console.browsing import Browser
from tests.console.sessions import sign_in
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

GRANTS_PATH = "/api/v1/oauth/grants/"


def call(server: Server, token: str) -> tuple[int, str]:
    """The status and the detail of a request with the access token of an app."""
    answer = httpx.get(f"{server.url}/api/v1/teams", headers={"Authorization": f"Bearer {token}"}, timeout=20)
    return answer.status_code, answer.json().get("detail", "") if answer.status_code != 200 else ""


REVOKED = (401, "Token has been revoked.")


@pytest.fixture
def user() -> str:
    """The subject of a user who allowed nothing yet."""
    return f"user_{secrets.token_hex(6)}"


def test_a_user_lists_and_ends_what_they_allowed(app_server: Server, issuer: LiveIssuer, user: str) -> None:
    first, second = ServedApp(app_server), ServedApp(app_server)
    tokens = [app.tokens(subject=user)["access_token"] for app in (first, second)]
    other = first.tokens(subject=f"{user}_other")["access_token"]
    assert call(app_server, tokens[0])[0] == 200
    with app_server.client(issuer.token(sub=user, permissions=[])) as client:
        listed: list[dict[str, Any]] = client.get(GRANTS_PATH).json()
        assert [(each["client_id"], each["name"], each["scopes"]) for each in listed] == [
            (app.client_id, "Scores", ["catalog:read", "holdings:read"]) for app in (second, first)
        ]
        assert eventually(lambda: client.get(GRANTS_PATH).json()[1]["last_used_at"] is not None, 10)
        foreign = httpx.delete(
            f"{app_server.url}{GRANTS_PATH}{listed[1]['id']}/",
            headers={"Authorization": f"Bearer {issuer.token(sub='user_zoe', permissions=[])}"},
        )
        assert (foreign.status_code, foreign.json()) == (404, {"detail": "Grant not found."})
        assert client.delete(f"{GRANTS_PATH}{listed[1]['id']}/").status_code == 204
        assert client.delete(f"{GRANTS_PATH}{listed[1]['id']}/").status_code == 404
        assert client.delete(f"{GRANTS_PATH}x/").status_code == 404
        assert call(app_server, tokens[0]) == REVOKED
        assert call(app_server, tokens[1])[0] == 200
        assert client.delete(GRANTS_PATH).json() == {"ended": 1}
        assert call(app_server, tokens[1]) == REVOKED
        assert client.get(GRANTS_PATH).json() == []
        assert call(app_server, other)[0] == 200
    for token in (other, app_key(app_server, issuer, user)):
        answer = httpx.get(app_server.url + GRANTS_PATH, headers={"Authorization": f"Bearer {token}"})
        assert answer.status_code == 403, "no app and no key sees what a user allowed"


def app_key(server: Server, issuer: LiveIssuer, user: str) -> str:
    with server.client(issuer.token(sub=user, permissions=["catalog:read"])) as client:
        answer = client.post("/api/v1/api-keys/", json={"name": "k", "scopes": ["catalog:read"]})
        return str(answer.json()["plaintext"])


def test_the_page_of_the_apps_that_a_user_allowed(app_server: Server, user: str) -> None:
    person = sign_in(app_server, user)
    assert "No app acts for you" in person.get("/console/apps").text
    apps = [ServedApp(app_server) for _ in range(3)]
    tokens = [app.tokens(subject=user)["access_token"] for app in apps]
    shown = person.get("/console/apps").text
    for text in ("Scores", "app.example", "Read the catalog", "catalog:read", *(app.client_id for app in apps)):
        assert text in shown
    paths = re.findall(r'action="(/console/apps/\d+/end)"', shown)
    assert len(paths) == 3
    stranger = sign_in(app_server, f"{user}_other")
    assert stranger.post(paths[2]).status_code == 404
    assert call(app_server, tokens[0])[0] == 200
    assert person.post(paths[2]).headers["location"] == "/console/apps?done=ended"
    assert call(app_server, tokens[0]) == REVOKED
    assert person.post("/console/apps/end-all").headers["location"] == "/console/apps?done=all"
    assert [call(app_server, token) for token in tokens] == [REVOKED] * 3
    assert "The access of every app has ended." in person.get("/console/apps?done=all").text


ODD_SUBJECTS = ("auth0|5f7c", "https://id.example/u/1", "a;b?c#d", "..", "100%", "José María", "block", "x" * 255)


@pytest.mark.parametrize("sub", ODD_SUBJECTS)
def test_a_person_with_any_sub_can_be_blocked(app_server: Server, issuer: LiveIssuer, sub: str) -> None:
    token = issuer.token(sub=sub, permissions=["catalog:read"])
    with app_server.client(issuer.token(sub="user_admin", permissions=["apps:write", "keys:write"])) as admin:
        for what, status in (("block", 403), ("unblock", 201), ("block", 403)):
            answer = admin.post(f"/api/v1/oauth/people/{what}/", json={"sub": sub})
            assert (answer.status_code, answer.json()["subject"]) == (200, sub)
            with app_server.client(token) as client:
                assert client.post("/api/v1/api-keys/", json={"name": "k"}).status_code == status
        done = command("people", "unblock", sub, "--json", env=app_server.env, cwd=app_server.directory)
        assert (done.returncode, json.loads(done.stdout)["subject"]) == (0, sub)
        encoded = quote(sub, safe="")
        if not {"%2F", "%3B", "%3F", "%23", "%25"}.intersection(re.findall("%..", encoded)) and sub != "..":
            answer = admin.post(f"/api/v1/oauth/people/{encoded}/block/")
            assert (answer.status_code, answer.json()["subject"]) == (200, sub)


@pytest.mark.parametrize("sub", ["", "x" * 256, "a\nb", "a\x00b", "org:acme", 7, None, ["a"]])
def test_what_is_no_sub_blocks_no_person(app_server: Server, issuer: LiveIssuer, sub: object) -> None:
    with app_server.client(issuer.token(sub="user_admin", permissions=["apps:write", "keys:write"])) as admin:
        for body in ({"sub": sub}, {"sub": "user_a", "more": sub}, {}):
            for what in ("block", "unblock"):
                answer = admin.post(f"/api/v1/oauth/people/{what}/", json=body)
                assert (answer.status_code, answer.json()["detail"]) == (400, "The request body is invalid."), (
                    answer.text
                )
        if isinstance(sub, str) and sub and sub.isprintable():
            assert admin.post(f"/api/v1/oauth/people/{quote(sub, safe='')}/block/").status_code == 400
            done = command("people", "block", sub, env=app_server.env, cwd=app_server.directory)
            assert done.returncode == 2
    for permissions in (["apps:write"], ["keys:write"]):
        with app_server.client(issuer.token(sub="user_admin", permissions=permissions)) as half:
            assert half.post("/api/v1/oauth/people/block/", json={"sub": "user_a"}).status_code == 403


@pytest.mark.parametrize("door", ["api", "command"])
def test_a_blocked_person_loses_everything_and_gets_nothing_new(
    app_server: Server, issuer: LiveIssuer, user: str, door: str
) -> None:
    app = ServedApp(app_server)
    tokens = app.tokens(subject=user)
    code = app.consent(user)
    key = app_key(app_server, issuer, user)
    person = sign_in(app_server, user)
    assert person.get("/console/account").status_code == 200
    admin = issuer.token(sub="user_admin", permissions=["apps:write", "keys:write"])

    def act(what: str) -> dict[str, Any]:
        if door == "command":
            done = command("people", what, user, "--json", env=app_server.env, cwd=app_server.directory)
            assert done.returncode == 0, done.stderr
            found: dict[str, Any] = json.loads(done.stdout)
            return found
        with app_server.client(admin) as client:
            answer = client.post(f"/api/v1/oauth/people/{user}/{what}/")
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    blocked = act("block")
    assert blocked["blocked_at"] is not None
    assert {name: blocked[name] for name in ("subject", "apps", "sessions", "keys")} == {
        "subject": user,
        "apps": 1,
        "sessions": 1,
        "keys": 1,
    }
    assert eventually(lambda: call(app_server, tokens["access_token"]) == REVOKED)
    assert eventually(lambda: call(app_server, key) == (401, "API key has been revoked."))
    assert (
        app.send(grant_type="refresh_token", refresh_token=tokens["refresh_token"]).json()["error"] == "invalid_grant"
    )
    assert app.redeem(code).json()["error"] == "invalid_grant"
    assert person.get("/console/account").headers["location"].startswith("/console/sign-in")
    # A token that the issuer signed before is valid for a while: it must not become a key that is valid for years.
    with app_server.client(issuer.token(sub=user, permissions=["catalog:read"])) as client:
        for path, body in (("", {"name": "k", "scopes": ["catalog:read"]}), ("1/rotate/", {"grace_seconds": 0})):
            refused = client.post(f"/api/v1/api-keys/{path}", json=body)
            blocked_detail = "An administrator has blocked you, so you get no API key."
            assert (refused.status_code, refused.json()) == (403, {"detail": blocked_detail})
    assert act("block")["apps"] == 0
    assert act("unblock")["blocked_at"] is None
    assert call(app_server, tokens["access_token"]) == REVOKED, "what ended stays ended"


def test_a_blocked_person_cannot_sign_in(
    app_server: Server, issuer: LiveIssuer, browsers: Callable[[Server], Browser]
) -> None:
    def act(what: str) -> None:
        done = command("people", what, "user_dan", env=app_server.env, cwd=app_server.directory)
        assert done.returncode == 0, done.stderr

    act("block")
    try:
        browser = browsers(app_server)
        refused = browser.sign_in(issuer, "user_dan")
        assert (refused.status_code, browser.session) == (403, None)
        assert "An administrator has blocked you" in refused.text
    finally:
        act("unblock")
    assert browser.sign_in(issuer, "user_dan").status_code == 303

"""A party that acts as an administrator sees the pages, and changes nothing that the shipped policy keeps from it."""

from __future__ import annotations

import secrets

import pytest

from app.identity.organization import Organization
from tests.console.admins import EVERYTHING, OTHER, READ, active, changed, officer, words
from tests.console.sessions import Person, sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

APPS = "/console/registered-apps"
ACT = {"iss": "https://issuer.example", "sub": "user_support"}


@pytest.fixture
def acted(console: Server) -> Person:
    return sign_in(console, "user_officer", EVERYTHING, act=ACT)


def app_of(person: Person) -> str:
    """The page of a new app."""
    form = {"name": "Scores", "redirects": "https://app.example/cb", "runs": "device"}
    return person.post(f"{APPS}/new", form_id=secrets.token_hex(16), **form).headers["location"]


def test_pages_open_without_what_would_be_refused(console: Server, acted: Person) -> None:
    person = officer(console)
    app = app_of(person)
    for user, sees in ((person, True), (acted, False)):
        page = user.get(app)
        assert page.status_code == 200
        assert (f"{app}/disable" in page.text, f"{app}/edit" in page.text) == (sees, sees)
        assert ("Edit" in words(user.get("/console/policy").text)) is True
        assert user.get("/console/policy/edit").status_code == 200


def test_nothing_is_changed(console: Server, acted: Person) -> None:
    app, revision = app_of(officer(console)), active(acted)
    sent = {
        "/console/policy/edit/publish": {"parent": revision, "message": "x", **changed(console, READ, OTHER)},
        "/console/policy/edit/shadow": {"parent": revision, "message": "x", **changed(console, READ, OTHER)},
        f"/console/policy/history/{revision}/rollback": {"parent": revision},
        "/console/policy/shadow/withdraw": {},
        "/console/all-keys/7/revoke": {},
        "/console/org-keys/7/revoke": {},
        f"{app}/edit": {"name": "x", "redirects": "https://app.example/cb"},
        f"{app}/disable": {},
        f"{app}/enable": {},
        f"{app}/remove": {},
    }
    member = sign_in(
        console, "user_ann", (*EVERYTHING, "org-keys:write"), organization=Organization("org_1", "admin"), act=ACT
    )
    for path, fields in sent.items():
        for user in (acted, member):
            refused = user.post(path, **fields)
            assert (refused.status_code, "You may not open this page" in refused.text) == (403, True), path
    assert active(officer(console)) == revision
    assert "Enabled" in words(officer(console).get(app).text)


@pytest.mark.parametrize("act", [ACT, {"client_id": "support"}, {}, "user_support", ["user_support"]], ids=str)
def test_nor_over_the_api(server: Server, issuer: LiveIssuer, act: object) -> None:
    held = ["policies:read", "policies:write", "keys:write", "apps:read", "apps:write", "org-keys:write"]
    calls = [
        ("POST", "/api/v1/policies/publish/"),
        ("POST", "/api/v1/policies/rollback/"),
        ("POST", "/api/v1/policies/reload/"),
        ("PUT", "/api/v1/policies/shadow/"),
        ("DELETE", "/api/v1/policies/shadow/"),
        ("POST", "/api/v1/all-keys/revoke/"),
        ("POST", "/api/v1/orgs/org_1/api-keys/7/revoke/"),
        ("PATCH", "/api/v1/oauth/apps/7/"),
        ("DELETE", "/api/v1/oauth/apps/7/"),
        ("POST", "/api/v1/oauth/apps/7/disable/"),
        ("POST", "/api/v1/oauth/apps/7/enable/"),
        ("POST", "/api/v1/oauth/people/user_gone/block/"),
        ("POST", "/api/v1/oauth/people/block/"),
        ("POST", "/api/v1/oauth/people/unblock/"),
    ]
    with server.client(issuer.token(permissions=held, org_id="org_1", act=act)) as client:
        assert client.get("/api/v1/policies/").status_code == 200
        for method, path in calls:
            answer = client.request(method, path, json={})
            detail = "Token is missing one or more required permissions."
            assert (answer.status_code, answer.json()) == (403, {"detail": detail}), path
    with server.client(issuer.token(permissions=held)) as client:
        assert client.post("/api/v1/policies/reload/").status_code == 200

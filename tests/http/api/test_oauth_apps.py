"""The registry of apps over HTTP: register, list, change, rotate, disable, enable and remove."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from app.oauth.app_view import AppView
from tests.http.api.test_api_keys import issue
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

APPS = "/api/v1/oauth/apps/"
REDIRECT = "https://app.example/cb"
WARNING = "Store this secret now — it will not be shown again. If you lose it, rotate it."
FORBIDDEN = "Token is missing one or more required permissions."
Json = dict[str, Any]


@pytest.fixture
def admin(server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with server.client(issuer.token(sub="user_admin", permissions=["apps:read", "apps:write"])) as client:
        yield client


def register(client: httpx.Client, **given: Any) -> Json:
    answer = client.post(APPS, json={"name": "Scores", "redirect_uris": [REDIRECT], **given})
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    body: Json = answer.json()
    return body


def test_a_confidential_app_is_registered_with_its_secret_once(server: Server, admin: httpx.Client) -> None:
    body = register(admin, confidential=True)
    assert set(body) == {"app", "client_secret", "warning"}
    app, secret = body["app"], body["client_secret"]
    assert body["warning"] == WARNING
    assert re.fullmatch("grd_ocs_[0-9a-f]{48}", secret)
    assert set(app) == set(AppView.__annotations__)
    assert re.fullmatch("app_[0-9a-f]{24}", app["client_id"])
    assert (app["kind"], app["name"], app["host"]) == ("registered", "Scores", "app.example")
    assert (app["redirect_uris"], app["is_confidential"], app["is_enabled"]) == ([REDIRECT], True, True)
    assert (app["created_by"], app["disabled_at"], app["former_secret_until"]) == ("user_admin", None, None)
    assert admin.get(f"{APPS}{app['id']}/").json() == app
    assert admin.get(APPS, params={"client_id": app["client_id"]}).json() == [app]
    for file in server.directory.glob("authz.db*"):
        assert secret.removeprefix("grd_ocs_").encode() not in file.read_bytes()


def test_a_public_app_has_no_secret(admin: httpx.Client) -> None:
    body = register(admin, redirect_uris=["http://127.0.0.1/cb", "com.example.app:/cb"])
    assert (body["client_secret"], body["warning"]) == (None, None)
    assert (body["app"]["is_confidential"], body["app"]["host"]) == (False, None)
    answer = admin.post(f"{APPS}{body['app']['id']}/rotate/")
    assert (answer.status_code, answer.json()["detail"][:23]) == (409, "This app has no secret:")


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"name", "redirect_uris"}),
        ({"name": "x"}, {"redirect_uris"}),
        ({"name": "", "redirect_uris": [REDIRECT]}, {"name"}),
        ({"name": "x" * 10_000, "redirect_uris": [REDIRECT]}, {"name"}),
        ({"name": "\u202eevil", "redirect_uris": [REDIRECT]}, {"name"}),
        ({"name": 7, "redirect_uris": [REDIRECT]}, {"name"}),
        ({"name": "x", "redirect_uris": []}, {"redirect_uris"}),
        ({"name": "x", "redirect_uris": REDIRECT}, {"redirect_uris"}),
        ({"name": "x", "redirect_uris": [REDIRECT, "http://app.example/"]}, {"redirect_uris.1"}),
        ({"name": "x", "redirect_uris": ["javascript:alert(1)"]}, {"redirect_uris.0"}),
        ({"name": "x", "redirect_uris": [REDIRECT, "https://app.example/*"]}, {"redirect_uris.1"}),
        ({"name": "x", "redirect_uris": ["com.example.app:/*", REDIRECT]}, {"redirect_uris.0"}),
        ({"name": "x", "redirect_uris": [None]}, {"redirect_uris.0"}),
        ({"name": "x", "redirect_uris": [REDIRECT], "confidential": 1}, {"confidential"}),
        ({"name": "x", "redirect_uris": [REDIRECT], "client_id": "mine"}, {"client_id"}),
        ({"name": "x", "redirect_uris": [REDIRECT], "kind": "document"}, {"kind"}),
    ],
)
def test_an_invalid_body_is_refused_by_field(admin: httpx.Client, body: Json, fields: set[str]) -> None:
    answer = admin.post(APPS, json=body)
    assert answer.status_code == 400
    assert {error["field"] for error in answer.json()["errors"]} == fields


def test_an_app_is_changed_rotated_disabled_enabled_and_removed(admin: httpx.Client) -> None:
    body = register(admin, confidential=True)
    app, path = body["app"], f"{APPS}{body['app']['id']}"
    changed = admin.patch(path, json={"name": "Results"}).json()
    assert (changed["name"], changed["redirect_uris"]) == ("Results", [REDIRECT])
    changed = admin.patch(path, json={"redirect_uris": ["https://b.example/cb"]}).json()
    assert (changed["name"], changed["host"]) == ("Results", "b.example")
    assert admin.patch(path, json={}).json() == changed
    assert admin.patch(path, json={"confidential": False}).status_code == 400
    assert admin.patch(path, json={"redirect_uris": []}).status_code == 400

    rotated = admin.post(f"{path}/rotate", json={"overlap_seconds": 60})
    assert (rotated.status_code, rotated.headers["cache-control"]) == (201, "no-store")
    assert rotated.json()["client_secret"] != body["client_secret"]
    assert rotated.json()["app"]["former_secret_until"]
    assert admin.post(f"{path}/rotate").status_code == 409
    assert admin.post(f"{path}/rotate", json={"overlap_seconds": 0}).json()["app"]["former_secret_until"] is None
    for wrong in (-1, 30 * 86_400 + 1, "60", True, None):
        assert admin.post(f"{path}/rotate", json={"overlap_seconds": wrong}).status_code == 400

    disabled = [admin.post(f"{path}/disable").json() for _ in range(2)]
    assert disabled[0] == disabled[1]
    assert (disabled[0]["is_enabled"], disabled[0]["disabled_at"] is None) == (False, False)
    assert app["id"] in [each["id"] for each in admin.get(APPS, params={"status": "disabled"}).json()]
    assert admin.post(f"{path}/enable").json()["is_enabled"] is True
    assert app["id"] not in [each["id"] for each in admin.get(APPS, params={"status": "disabled"}).json()]

    assert (admin.delete(path).status_code, admin.delete(path).status_code) == (204, 404)
    assert admin.get(APPS, params={"client_id": app["client_id"]}).json() == []


@pytest.mark.parametrize("app_id", ["0", "-1", "999999999", "9" * 30, "x", "1.0", "%C2%B2", "app_1"])
def test_an_app_that_does_not_exist(admin: httpx.Client, app_id: str) -> None:
    path = f"{APPS}{app_id}"
    answers = [
        admin.get(path),
        admin.patch(path, json={"name": "x"}),
        admin.delete(path),
        *(admin.post(f"{path}/{act}") for act in ("rotate", "disable", "enable")),
    ]
    assert {(answer.status_code, answer.text) for answer in answers} == {(404, '{"detail":"App not found."}')}


def test_only_signed_in_administrators_manage_apps(server: Server, issuer: LiveIssuer, admin: httpx.Client) -> None:
    both = ["apps:read", "apps:write", "catalog:read"]
    path = f"{APPS}{register(admin)['app']['id']}"
    key = issue(server, issuer.token(sub="user_admin", permissions=both), scopes=both).json()["plaintext"]
    callers = {
        key: ([403] * 4, 403),
        issuer.token(sub="user_b", permissions=["catalog:read"]): ([403] * 4, 403),
        issuer.token(sub="user_b", permissions=["apps:read"]): ([403] * 4, 200),
        issuer.token(sub="user_b", permissions=["apps:write"]): ([400, 200, 200, 200], 403),
    }
    for token, (writes, reads) in callers.items():
        with server.client(token) as client:
            assert [client.get(APPS).status_code, client.get(path).status_code] == [reads] * 2
            answers = [
                client.post(APPS, json={}),
                client.patch(path, json={}),
                client.post(f"{path}/disable"),
                client.post(f"{path}/enable"),
            ]
            assert [answer.status_code for answer in answers] == writes
            if 403 in writes:
                assert {answer.json()["detail"] for answer in answers} == {FORBIDDEN}
                assert client.delete(path).status_code == client.post(f"{path}/rotate").status_code == 403
    with httpx.Client(base_url=server.url) as anonymous:
        assert {anonymous.get(APPS).status_code, anonymous.post(APPS, json={}).status_code} == {401}


def test_the_list_is_paged_by_link(admin: httpx.Client) -> None:
    ids = [register(admin, name=f"Page {number}")["app"]["id"] for number in range(101)]
    first = admin.get(APPS, params={"kind": "registered"})
    assert [app["id"] for app in first.json()] == ids[:0:-1]
    following = re.fullmatch(r'<([^>]+)>; rel="next"', first.headers["link"])
    assert following is not None
    second = admin.get(following[1])
    assert second.json()[0]["id"] == ids[0]
    assert admin.get(following[1].replace("kind=registered", "kind=dynamic")).status_code == 400
    assert admin.get(APPS, params={"cursor": "x"}).status_code == 400
    assert admin.get(APPS, params={"kind": "other"}).status_code == 400
    assert admin.get(APPS, params={"kind": "dynamic"}).json() == []

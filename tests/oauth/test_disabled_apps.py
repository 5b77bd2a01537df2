"""A disabled app loses at once what it was given, and a removed one for ever."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import httpx
import pytest

from tests.cli.command import command
from tests.console.admins import officer
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually

APPS = "/api/v1/oauth/apps"


@pytest.fixture
def admin(app_server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    token = issuer.token(sub="user_admin", permissions=["apps:read", "apps:write"])
    with app_server.client(token) as client:
        yield client


@pytest.fixture
def app(app_server: Server) -> ServedApp:
    return ServedApp(app_server, confidential=True)


def status(server: Server, token: str) -> int:
    headers = {"Authorization": f"Bearer {token}"}
    return httpx.get(f"{server.url}/api/v1/teams", headers=headers, timeout=20).status_code


def is_refused(server: Server, token: str) -> bool:
    return status(server, token) == 401


def error(answer: httpx.Response) -> Any:
    return answer.json()["error"]


def test_a_disabled_app_is_refused_with_the_next_request(
    app_server: Server, admin: httpx.Client, app: ServedApp
) -> None:
    tokens = app.tokens()
    access, refresh = tokens["access_token"], tokens["refresh_token"]
    code = app.consent("user_other")
    assert status(app_server, access) == 200
    (shown,) = admin.get(APPS, params={"client_id": app.client_id}).json()
    assert shown["grants"] == 2
    disabled = admin.post(f"{APPS}/{shown['id']}/disable").json()
    assert (disabled["is_enabled"], disabled["grants"]) == (False, 2)
    assert status(app_server, access) == 401
    answer = httpx.get(f"{app_server.url}/api/v1/teams", headers={"Authorization": f"Bearer {access}"})
    assert answer.json() == {"detail": "Token has been revoked."}
    assert error(app.send(grant_type="refresh_token", refresh_token=refresh)) == "unauthorized_client"
    assert error(app.redeem(code)) == "unauthorized_client"

    admin.post(f"{APPS}/{shown['id']}/enable")
    assert status(app_server, access) == 200
    assert app.send(grant_type="refresh_token", refresh_token=refresh).status_code == 200


def test_a_removed_app_leaves_nothing(app_server: Server, admin: httpx.Client, app: ServedApp) -> None:
    tokens = app.tokens()
    access = tokens["access_token"]
    assert status(app_server, access) == 200
    (shown,) = admin.get(APPS, params={"client_id": app.client_id}).json()
    assert admin.delete(f"{APPS}/{shown['id']}").status_code == 204
    assert status(app_server, access) == 401
    answer = app.send(grant_type="refresh_token", refresh_token=tokens["refresh_token"])
    assert (answer.status_code, error(answer)) == (401, "invalid_client")


def test_the_console_and_the_command_disable_too(app_server: Server, admin: httpx.Client) -> None:
    apps = [ServedApp(app_server), ServedApp(app_server)]
    access = [app.tokens()["access_token"] for app in apps]
    assert {status(app_server, token) for token in access} == {200}
    (shown,) = admin.get(APPS, params={"client_id": apps[0].client_id}).json()
    page = officer(app_server).get(f"/console/registered-apps/{shown['id']}").text
    assert "Allowed by 1 user<" in page
    assert officer(app_server).post(f"/console/registered-apps/{shown['id']}/disable").status_code == 303
    assert status(app_server, access[0]) == 401
    assert command("apps", "disable", apps[1].client_id, env=app_server.env).returncode == 0
    # Another process, as another replica is: the server reads of its change from the database.
    assert eventually(partial(is_refused, app_server, access[1]))


def test_both_secrets_authenticate_during_the_overlap(admin: httpx.Client, app: ServedApp) -> None:
    (shown,) = admin.get(APPS, params={"client_id": app.client_id}).json()
    rotated = admin.post(f"{APPS}/{shown['id']}/rotate", json={"overlap_seconds": 600}).json()
    former, app.secret = app.secret, rotated["client_secret"]
    assert app.redeem(app.consent()).status_code == 200
    app.secret = former
    assert app.redeem(app.consent()).status_code == 200
    ended = admin.post(f"{APPS}/{shown['id']}/rotate", json={"overlap_seconds": 0}).json()
    for secret in (former, rotated["client_secret"]):
        app.secret = secret
        answer = app.redeem(app.consent())
        assert (answer.status_code, error(answer)) == (401, "invalid_client")
    app.secret = ended["client_secret"]
    assert app.redeem(app.consent()).status_code == 200

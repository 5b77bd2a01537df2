"""What administrators see of the access of an app, and how they end it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import httpx
import pytest

from app.db.session import Sessions
from app.db.tables.oauth import AppGrant, Person
from app.oauth.app_grants import UserGrant
from tests.cli.command import command
from tests.console.admins import officer, words
from tests.oauth.served import ServedApp, in_database
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


def test_administrators_see_what_users_allow_an_app(app_server: Server, admin: httpx.Client, app: ServedApp) -> None:
    (shown,) = admin.get(APPS, params={"client_id": app.client_id}).json()
    path = f"{APPS}/{shown['id']}/grants"
    assert admin.get(path).json() == []
    first = app.tokens(subject="user_first", scopes=["catalog:read"])
    assert status(app_server, first["access_token"]) == 200
    app.tokens(subject="user_second")
    listed = admin.get(path).json()
    assert [(each["user"], each["scopes"]) for each in listed] == [
        ("user_second", ["catalog:read", "holdings:read"]),
        ("user_first", ["catalog:read"]),
    ]
    assert set(listed[0]) == set(UserGrant.__annotations__)
    assert eventually(lambda: bool(admin.get(path).json()[1]["last_used_at"]))
    assert admin.get(f"{APPS}/999999/grants").status_code == 404
    assert admin.get(path, params={"cursor": "x"}).status_code == 400
    page = words(officer(app_server).get(f"/console/registered-apps/{shown['id']}").text)
    for text in ("What users allow it", "user_first", "user_second", "holdings:read"):
        assert text in page
    printed = command("apps", "grants", app.client_id, "--json", env=app_server.env)
    assert [each["id"] for each in json.loads(printed.stdout)] == [each["id"] for each in listed]
    printed = command("apps", "grants", app.client_id, "--limit", "1", env=app_server.env)
    assert "user_second" in printed.stdout
    assert printed.stdout.endswith(f"More: authz apps grants {app.client_id} --before {listed[0]['id']}\n")


def test_the_grants_of_an_app_are_paged(app_server: Server, admin: httpx.Client, app: ServedApp) -> None:
    (shown,) = admin.get(APPS, params={"client_id": app.client_id}).json()
    path, number = f"{APPS}/{shown['id']}/grants", 120

    async def store(sessions: Sessions) -> None:
        async with sessions() as session:
            people = [Person(subject=f"user_paged_{each}", permissions=[]) for each in range(number)]
            session.add_all(people)
            await session.flush()
            now = datetime.now(UTC)
            more: dict[str, Any] = {"scopes": [], "app_version": "1", "created_at": now, "changed_at": now}
            session.add_all(AppGrant(person_id=person.id, app_id=shown["id"], **more) for person in people)
            await session.commit()

    in_database(app_server, store)
    first = admin.get(path)
    following = re.fullmatch(r'<([^>]+)>; rel="next"', first.headers["link"])
    assert following is not None
    found = [each["user"] for each in (*first.json(), *admin.get(following[1]).json())]
    assert len(found) == len(set(found)) == number
    here = f"/console/registered-apps/{shown['id']}"
    seen: set[str] = set()
    address: str | None = here
    while address is not None:
        page = officer(app_server).get(address).text
        seen.update(re.findall(r"user_paged_\d+", page))
        link = re.search(r'rel="next" href="([^"]+)"', page)
        address = link[1] if link else None
    assert seen == set(found)


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

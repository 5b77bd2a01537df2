"""Many uses of one refresh token, and of one code, at the same time at a server with four workers."""

from __future__ import annotations

import asyncio
from collections import Counter

import httpx
import pytest

from tests.console.conftest import server_for_apps
from tests.oauth.flows import VERIFIER
from tests.oauth.served import ServedApp
from tests.support.databases import Kind
from tests.support.issuer import LiveIssuer
from tests.support.server import Server, eventually


@pytest.fixture
def workers(kind: Kind, issuer: LiveIssuer, request: pytest.FixtureRequest) -> Server:
    """A server with four workers on each kind of database, not yet started."""
    found = {"database_url": request.getfixturevalue("url")} if kind == "postgresql" else {}
    directory = request.getfixturevalue("tmp_path_factory").mktemp("workers")
    return server_for_apps(issuer, directory, trusted_proxies="127.0.0.1", workers="4", **found)


def test_fifty_refreshes_are_one_rotation_and_its_siblings(workers: Server) -> None:
    async def send_all(times: int, **form: str) -> list[httpx.Response]:
        async with httpx.AsyncClient(timeout=60) as client:
            sent = {"client_id": app.client_id, **form}
            return await asyncio.gather(*(client.post(f"{workers.url}/oauth/token", data=sent) for _ in range(times)))

    def statuses(token: str) -> set[int]:
        headers = {"Authorization": f"Bearer {token}"}
        return {httpx.get(f"{workers.url}/api/v1/teams", headers=headers).status_code for _ in range(12)}

    with workers:
        app = ServedApp(workers)
        first, other = app.tokens(), app.tokens(subject="user_other")
        answers = asyncio.run(send_all(50, grant_type="refresh_token", refresh_token=first["refresh_token"]))
        found = Counter((answer.status_code, answer.json().get("error")) for answer in answers)
        assert found == {(200, None): 4, (400, "invalid_grant"): 46}
        (newest, *_) = [answer.json() for answer in answers if answer.status_code == 200]
        for _ in range(2):
            newest = app.send(grant_type="refresh_token", refresh_token=newest["refresh_token"]).json()
        assert statuses(newest["access_token"]) == {200}
        grandparent = app.send(grant_type="refresh_token", refresh_token=first["refresh_token"])
        assert grandparent.json()["error"] == "invalid_grant"
        assert eventually(lambda: statuses(newest["access_token"]) == {401}), "in every worker"
        assert statuses(other["access_token"]) == {200}, "the family ended alone"
        code = {"grant_type": "authorization_code", "code": app.consent(), "code_verifier": VERIFIER}
        answers = asyncio.run(send_all(20, **code))
        assert Counter(answer.status_code for answer in answers) == {200: 1, 400: 19}
        (issued,) = [answer.json() for answer in answers if answer.status_code == 200]
        assert eventually(lambda: statuses(issued["access_token"]) == {401}), "a second use ends what the first gave"

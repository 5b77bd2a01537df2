"""The resources in the real server process, behind the door."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.griddy.resource_api import Rows
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

ALL = ["catalog:read", "catalog:write", "holdings:read", "holdings:write"]


@pytest.fixture(scope="module")
def client(server: Server, issuer: LiveIssuer) -> Iterator[httpx.Client]:
    with server.client(issuer.token(permissions=ALL)) as client:
        client.base_url = client.base_url.join("/api/v1")
        yield client


def test_a_complete_game_is_written_and_read_through_the_door(client: httpx.Client) -> None:
    rows = Rows(client)
    ids = rows.game(week=41)
    drives = f"/games/{ids['game_id']}/drives"
    drive = {
        "number": 1,
        "team_id": ids["home_team_id"],
        "quarter": 1,
        "clock": "15:00",
        "yards_to_goal": 75,
        "plays": 5,
        "yards": 48,
        "result": "fumble",
    }
    created = client.post(f"{drives}/", json=drive)
    assert created.status_code == 201
    for slash in ("", "/"):
        assert client.get(drives + slash).json() == {"next": None, "previous": None, "results": [created.json()]}
        assert client.head(drives + slash).status_code == 200
    assert client.delete(f"/games/{ids['game_id']}").status_code == 409
    assert client.patch(created.headers["location"].removeprefix("/api/v1"), json={"plays": 6}).json()["plays"] == 6


def test_refusals_pass_the_door_unchanged(client: httpx.Client) -> None:
    invalid = client.post("/venues/", json={"name": 5, "id": 1})
    assert invalid.status_code == 400
    assert set(invalid.json()) == {"detail", "errors"}
    for answer, status in (
        (client.get("/venues/99999"), 404),
        (client.get("/venues/%2B1"), 404),
        (client.get("/venues/?cursor=x"), 400),
        (client.post("/venues/", content=b"x", headers={"content-type": "text/plain"}), 415),
        (client.post("/venues/", content=b"[" * 100_000, headers={"content-type": "application/json"}), 400),
        (client.put("/venues/"), 405),
    ):
        assert answer.status_code == status
        assert set(answer.json()) == {"detail"}


def test_an_anonymous_caller_learns_nothing_of_a_body_an_id_or_a_cursor(server: Server) -> None:
    with server.client() as stranger:
        for answer in (
            stranger.post("/api/v1/venues/", json={"name": 5}),
            stranger.post("/api/v1/venues/", content=b"{", headers={"content-type": "text/plain"}),
            stranger.get("/api/v1/venues/99999"),
            stranger.get("/api/v1/venues/?cursor=x"),
            stranger.delete("/api/v1/games/1/drives/+1"),
        ):
            assert answer.status_code == 401
            assert answer.json() == {"detail": "Authentication credentials were not provided."}

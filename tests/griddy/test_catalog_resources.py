"""The catalog over HTTP: constraints between its fields."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.griddy.resource_api import Rows, serving


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("catalog")) as client:
        yield client


@pytest.fixture(scope="module")
def game(api: httpx.Client) -> dict[str, int]:
    return Rows(api).game()


def _fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [error["field"] for error in answer.json()["errors"]]


def test_every_kind_of_row_can_be_written_and_read_back(api: httpx.Client) -> None:
    bodies: dict[str, dict[str, Any]] = {
        "leagues": {"name": "Canadian Football League", "abbreviation": "CFL", "country": "CA"},
        "venues": {
            "name": "Mosaic Stadium",
            "city": "Regina",
            "state": "SK",
            "country": "CA",
            "capacity": 33350,
            "roof": "open",
            "surface": "artificial",
            "opened": 2017,
        },
    }
    ids: dict[str, int] = {}

    def write(path: str, body: dict[str, Any]) -> None:
        created = api.post(f"/{path}/", json=body)
        assert created.status_code == 201, created.text
        ids[path] = created.json()["id"]
        assert api.get(f"/{path}/{ids[path]}").json() == {"id": ids[path], **body}

    for path, body in bodies.items():
        write(path, body)
    league = {"league_id": ids["leagues"]}
    write("seasons", {**league, "year": 2024, "starts_on": "2024-06-06", "ends_on": "2024-11-17"})
    write("franchises", {**league, "name": "Saskatchewan Roughriders", "first_season": 1910})
    team = {
        "franchise_id": ids["franchises"],
        "venue_id": ids["venues"],
        "location": "Saskatchewan",
        "nickname": "Roughriders",
        "abbreviation": "SSK",
        "conference": None,
        "division": "West",
    }
    write("teams", team)
    home = ids["teams"]
    write("teams", {**team, "location": "Regina", "nickname": "Rugby Club", "abbreviation": "RRC"})
    game = {
        "season_id": ids["seasons"],
        "kind": "regular",
        "week": 3,
        "title": "Labour Day Classic",
        "kickoff": "2024-09-01T23:00:00Z",
        "venue_id": ids["venues"],
        "neutral_site": False,
        "home_team_id": home,
        "away_team_id": ids["teams"],
        "status": "final",
        "home_score": 35,
        "away_score": 33,
    }
    write("games", game)
    drives = f"games/{ids['games']}/drives"
    drive = {
        "number": 1,
        "team_id": home,
        "quarter": 5,
        "clock": "00:03",
        "yards_to_goal": 1,
        "plays": 0,
        "yards": -99,
        "result": "end_of_game",
    }
    created = api.post(f"/{drives}", json=drive)
    assert created.json() == {"id": 1, "game_id": ids["games"], **drive}
    assert created.headers["location"] == f"/api/v1/{drives}/1/"


def test_a_team_cannot_play_against_itself(api: httpx.Client, game: dict[str, int]) -> None:
    same = {"away_team_id": game["home_team_id"]}
    assert _fields(api.patch(f"/games/{game['game_id']}", json=same)) == ["away_team_id"]


@pytest.mark.parametrize(
    ("change", "faults"),
    [
        ({"status": "final"}, ["home_score", "away_score"]),
        ({"status": "final", "home_score": 3}, ["away_score"]),
        ({"status": "in_progress", "away_score": 0}, ["home_score"]),
        ({"home_score": 3}, ["home_score"]),
        ({"status": "postponed", "home_score": 3, "away_score": 0}, ["home_score", "away_score"]),
        ({"status": "over"}, ["status"]),
        ({"kind": "friendly"}, ["kind"]),
        ({"week": 0}, ["week"]),
        ({"home_score": 1000}, ["home_score"]),
        ({"neutral_site": "yes"}, ["neutral_site"]),
        ({"neutral_site": 1}, ["neutral_site"]),
        ({"neutral_site": None}, ["neutral_site"]),
    ],
)
def test_a_game_has_scores_once_it_is_played(
    api: httpx.Client, game: dict[str, int], change: dict[str, Any], faults: list[str]
) -> None:
    assert _fields(api.patch(f"/games/{game['game_id']}", json=change)) == faults


def test_a_new_game_obeys_the_same_rules(api: httpx.Client, game: dict[str, int]) -> None:
    row = api.get(f"/games/{game['game_id']}").json()
    body = {name: value for name, value in row.items() if name not in ("id", "home_score", "away_score")}
    assert _fields(api.post("/games/", json={**body, "week": 9, "status": "final"})) == ["home_score", "away_score"]


@pytest.mark.parametrize("clock", ["15:01", "16:00", "1:00", "00:60", "15:00:00", "", "15:00\n", "١٥:٠٠", 900])  # noqa: RUF001  # Arabic digits are meant
def test_a_clock_is_the_remaining_time_of_a_quarter(api: httpx.Client, game: dict[str, int], clock: object) -> None:
    drive = {"number": 9, "quarter": 1, "yards_to_goal": 75, "plays": 3, "yards": 4, "result": "punt"}
    body = {**drive, "team_id": game["home_team_id"], "clock": clock}
    assert _fields(api.post(f"/games/{game['game_id']}/drives", json=body)) == ["clock"]

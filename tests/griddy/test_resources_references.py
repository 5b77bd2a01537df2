"""References between rows: existence, uniqueness, deletion and nesting."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.griddy.resource_api import Rows

DRIVE = {"number": 1, "quarter": 1, "clock": "15:00", "yards_to_goal": 75, "plays": 3, "yards": 4, "result": "punt"}


def _invalid(answer: httpx.Response) -> list[dict[str, str]]:
    assert answer.status_code == 400, answer.text
    assert answer.json()["detail"] == "The request body is invalid."
    errors: list[dict[str, str]] = answer.json()["errors"]
    return errors


@pytest.mark.parametrize("unknown", [99, 2**63 - 1])
def test_an_unknown_id_is_reported_at_its_field(api: httpx.Client, unknown: int) -> None:
    league = Rows(api).league()
    season = {"league_id": league, "year": 2024, "starts_on": "2024-09-05", "ends_on": "2025-02-09"}
    expected = [{"field": "league_id", "message": "there are no leagues with this id"}]
    assert _invalid(api.post("/seasons/", json={**season, "league_id": unknown})) == expected
    path = f"/seasons/{Rows(api).create('seasons', **season)}"
    assert _invalid(api.put(path, json={**season, "league_id": unknown})) == expected
    assert _invalid(api.patch(path, json={"league_id": unknown})) == expected
    assert api.get(path).json()["league_id"] == league


def test_all_unknown_ids_of_a_body_are_reported_together(api: httpx.Client) -> None:
    body = {"season_id": 7, "kind": "regular", "week": 1, "kickoff": "2024-09-08T17:00:00Z", "status": "scheduled"}
    answer = api.post("/games/", json={**body, "home_team_id": 8, "away_team_id": 9, "venue_id": 10})
    assert [error["field"] for error in _invalid(answer)] == ["away_team_id", "home_team_id", "season_id", "venue_id"]


def test_an_optional_reference_may_be_empty(api: httpx.Client) -> None:
    ids = Rows(api).game()
    assert api.get(f"/games/{ids['game_id']}").json()["venue_id"] is None


def test_a_duplicate_is_409_for_every_method(api: httpx.Client) -> None:
    rows = Rows(api)
    rows.league("ONE")
    two = rows.league("TWO")
    body = {"name": "A league", "abbreviation": "ONE", "country": "US"}
    for answer in (
        api.post("/leagues/", json=body),
        api.put(f"/leagues/{two}", json=body),
        api.patch(f"/leagues/{two}", json={"abbreviation": "ONE"}),
    ):
        assert (answer.status_code, answer.json()) == (409, {"detail": "Another league has the same abbreviation."})
    assert api.get(f"/leagues/{two}").json()["abbreviation"] == "TWO"


def test_a_duplicate_of_several_fields_is_409_even_in_a_partial_patch(api: httpx.Client) -> None:
    rows = Rows(api)
    league = rows.league()
    for name in ("Bears", "Lions"):
        rows.create("franchises", league_id=league, name=name)
    answer = api.patch("/franchises/2", json={"name": "Bears"})
    assert answer.status_code == 409
    assert answer.json() == {"detail": "Another franchise has the same league_id and name."}
    other = rows.league("OTHER")
    assert api.post("/franchises/", json={"league_id": other, "name": "Bears"}).status_code == 201


def test_a_row_may_be_replaced_by_itself(api: httpx.Client) -> None:
    league = Rows(api).league()
    body = {"name": "A league", "abbreviation": "NFL", "country": "US"}
    assert api.put(f"/leagues/{league}", json=body).json() == {"id": league, **body}


def test_one_of_several_concurrent_creations_with_the_same_name_succeeds(api: httpx.Client) -> None:
    body = {"name": "A league", "abbreviation": "RACE", "country": "US"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: api.post("/leagues/", json=body).status_code, range(24)))
    assert sorted(answers) == [201] + [409] * 23


def test_concurrent_changes_of_different_fields_are_all_kept(api: httpx.Client) -> None:
    venue = Rows(api).create("venues", name="A", city="A", country="US", roof="open", surface="grass")
    changes: list[dict[str, Any]] = [{"name": "B"}, {"city": "B"}, {"capacity": 5}, {"opened": 1990}, {"state": "WI"}]
    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(lambda change: api.patch(f"/venues/{venue}", json=change), changes * 4))
    assert {answer.status_code for answer in answers} == {200}
    changed = api.get(f"/venues/{venue}").json()
    assert all(changed[field] == value for change in changes for field, value in change.items())


def test_concurrent_changes_leave_a_valid_row(api: httpx.Client) -> None:
    rows = Rows(api)
    season = rows.create("seasons", league_id=rows.league(), year=2024, starts_on="2024-03-01", ends_on="2024-09-01")
    later, earlier = {"starts_on": "2024-08-01"}, {"ends_on": "2024-04-01"}
    for _ in range(10):
        api.patch(f"/seasons/{season}", json={"starts_on": "2024-03-01", "ends_on": "2024-09-01"})
        with ThreadPoolExecutor(2) as pool:
            answers = list(pool.map(lambda change: api.patch(f"/seasons/{season}", json=change), (later, earlier)))
        assert sorted(answer.status_code for answer in answers) == [200, 400]
        row = api.get(f"/seasons/{season}").json()
        assert row["starts_on"] <= row["ends_on"]


def test_a_referenced_row_cannot_be_deleted_and_the_references_are_named(api: httpx.Client) -> None:
    ids = Rows(api).game()
    answer = api.delete(f"/leagues/{ids['league_id']}")
    assert answer.status_code == 409
    expected = "This league is still referenced by franchises and seasons: change or delete those first."
    assert answer.json() == {"detail": expected}
    team = api.delete(f"/teams/{ids['away_team_id']}")
    assert (team.status_code, "games" in team.json()["detail"]) == (409, True)
    for path in (
        f"/games/{ids['game_id']}",
        f"/teams/{ids['home_team_id']}",
        f"/teams/{ids['away_team_id']}",
        f"/franchises/{ids['franchise_id']}",
        f"/seasons/{ids['season_id']}",
        f"/leagues/{ids['league_id']}",
    ):
        assert api.delete(path).status_code == 204


def test_a_nested_row_is_found_only_under_its_own_parent(api: httpx.Client) -> None:
    rows = Rows(api)
    first, second = rows.game(week=1), rows.game(week=2)
    own, foreign = f"/games/{first['game_id']}/drives", f"/games/{second['game_id']}/drives"
    body = {**DRIVE, "team_id": first["home_team_id"]}
    drive = api.post(own, json=body).json()
    assert drive == {"id": 1, "game_id": first["game_id"], **body}
    assert api.get(f"{own}/1").json() == drive
    assert api.get(own).json()["results"] == [drive]
    assert api.get(foreign).json()["results"] == []
    for answer in (
        api.get(f"{foreign}/1"),
        api.put(f"{foreign}/1", json={**body, "plays": 9}),
        api.patch(f"{foreign}/1", json={"plays": 9}),
        api.delete(f"{foreign}/1"),
    ):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Drive not found."})
    assert api.get(f"{own}/1").json() == drive
    assert api.post(foreign, json=body).status_code == 201  # its number is used in the other game only
    again = api.post(own, json=body)
    assert (again.status_code, again.json()) == (409, {"detail": "Another drive has the same number."})


@pytest.mark.parametrize("game", ["99", "0", "+1", "abc", "9" * 30])
def test_nothing_nests_under_a_missing_parent(api: httpx.Client, game: str) -> None:
    team = Rows(api).game()["home_team_id"]
    for answer in (
        api.get(f"/games/{game}/drives/"),
        api.post(f"/games/{game}/drives/", json={**DRIVE, "team_id": team}),
        api.post(f"/games/{game}/drives/", json={**DRIVE, "team_id": 999}),
    ):
        assert (answer.status_code, answer.json()) == (404, {"detail": "Game not found."})
    assert api.get(f"/games/{game}/drives/1").status_code == 404

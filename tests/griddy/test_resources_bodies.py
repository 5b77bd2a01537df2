"""Bodies of resources: accepted values and refusals."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.griddy.resource_api import Rows, serving

LEAGUE = {"name": "National Football League", "abbreviation": "NFL", "country": "US"}
VENUE = {"name": "Lambeau Field", "city": "Green Bay", "country": "US", "roof": "open", "surface": "hybrid"}
SEASON = {"year": 2024, "starts_on": "2024-09-05", "ends_on": "2025-02-09"}
INVALID = "The request body is invalid."


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with serving(tmp_path_factory.mktemp("bodies")) as client:
        yield client


def _fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    content = answer.json()
    assert set(content) == {"detail", "errors"}
    assert content["detail"] == INVALID
    assert all(set(error) == {"field", "message"} and error["message"] for error in content["errors"])
    return [error["field"] for error in content["errors"]]


@pytest.mark.parametrize("unknown", ["id", "created_at", "Name", "__class__", "metadata", "registry", "table", "país"])
def test_a_read_only_field_is_refused(api: httpx.Client, unknown: str) -> None:
    before = api.get("/venues/").json()
    assert _fields(api.post("/venues/", json={**VENUE, unknown: 9})) == [unknown]
    assert api.get("/venues/").json() == before


def test_a_client_can_neither_choose_nor_change_an_id(api: httpx.Client) -> None:
    league = Rows(api).league("CHOOSE")
    body = {**LEAGUE, "abbreviation": "CHOOSE"}
    assert _fields(api.put(f"/leagues/{league}", json={**body, "id": league})) == ["id"]
    assert _fields(api.patch(f"/leagues/{league}", json={"id": 77})) == ["id"]
    assert api.get("/leagues/77").status_code == 404


def test_the_parent_of_a_path_cannot_be_set_in_the_body(api: httpx.Client) -> None:
    rows = Rows(api)
    ids = rows.game(week=31)
    drive = {
        "number": 1,
        "team_id": ids["home_team_id"],
        "quarter": 1,
        "clock": "15:00",
        "yards_to_goal": 75,
        "plays": 3,
        "yards": 4,
        "result": "punt",
    }
    path = f"/games/{ids['game_id']}/drives/"
    assert _fields(api.post(path, json={**drive, "game_id": 1})) == ["game_id"]
    assert api.post(path, json=drive).json()["game_id"] == ids["game_id"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5),
        ("name", None),
        ("name", True),
        ("name", ["a"]),
        ("name", {"a": 1}),
        ("name", ""),
        ("name", "   "),
        ("name", " Lambeau"),
        ("name", "Lambeau\u2003"),
        ("name", "a\x00b"),
        ("name", "a\nb"),
        ("name", "a\x7fb"),
        ("name", "a\u0085b"),
        ("name", "a\u2028b"),
        ("name", "a\u202eb"),
        ("name", "a\u2066b"),
        ("name", "x" * 121),
        ("country", "us"),
        ("country", "USA"),
        ("country", "US\n"),
        ("country", "\uff35\uff33"),
        ("capacity", "2"),
        ("capacity", 2.0),
        ("capacity", 2.5),
        ("capacity", True),
        ("capacity", -1),
        ("capacity", 1_000_001),
        ("capacity", 2**63),
        ("capacity", -(2**63) - 1),
        ("capacity", 10**400),
        ("roof", "none"),
        ("roof", None),
        ("roof", 0),
        ("opened", 1849),
        ("opened", 2201),
    ],
)
def test_a_value_of_another_type_or_out_of_bounds_is_refused(api: httpx.Client, field: str, value: Any) -> None:
    assert _fields(api.post("/venues/", json={**VENUE, "name": "Bounds", field: value})) == [field]


@pytest.mark.parametrize(
    "value",
    [
        5,
        "2024",
        "2024-9-5",
        "2024-02-30",
        "2024-09-05T00:00:00Z",
        "\uff12\uff10\uff12\uff14-09-05",
        "10000-01-01",
        "",
        None,
        1.5,
    ],
)
def test_only_iso_dates_are_accepted(api: httpx.Client, value: object) -> None:
    assert _fields(api.post("/seasons/", json={**SEASON, "league_id": 1, "starts_on": value})) == ["starts_on"]


@pytest.mark.parametrize(
    "value",
    [
        1725811200,
        "2024-09-08",
        "2024-09-08T17:00:00",
        "2024-09-08 17:00:00Z",
        "2024-09-08T25:00:00Z",
        "2024-09-08T17:00:00+99:00",
        "0001-01-01T00:00:00+14:00",
        "2024-09-08T17:00:00z",
        None,
    ],
)
def test_a_time_needs_its_offset(api: httpx.Client, value: object) -> None:
    body = {"season_id": 1, "kind": "regular", "week": 1, "home_team_id": 1, "away_team_id": 2, "status": "scheduled"}
    assert _fields(api.post("/games/", json={**body, "kickoff": value})) == ["kickoff"]


def test_a_time_is_returned_in_utc(api: httpx.Client) -> None:
    game = Rows(api).game(week=32)["game_id"]
    answer = api.patch(f"/games/{game}", json={"kickoff": "2025-02-09T17:30:00-06:00"})
    assert answer.json()["kickoff"] == "2025-02-09T23:30:00Z"
    assert api.get(f"/games/{game}").json()["kickoff"] == "2025-02-09T23:30:00Z"


@pytest.mark.parametrize(
    "name", ["São Paulo", "東京ドーム", "Ω≈ç√∫", "🏈 Bowl", "مرحبا", "e\u0301tude", "a'; DROP TABLE venues; --"]
)
def test_text_of_every_script_is_stored_unchanged(api: httpx.Client, name: str) -> None:
    created = api.post("/venues/", json={**VENUE, "name": name, "city": name})
    assert created.status_code == 201
    assert api.get(created.headers["location"].removeprefix("/api/v1")).json()["name"] == name


def test_all_faults_are_reported_together(api: httpx.Client) -> None:
    answer = api.post("/venues/", json={"name": " ", "country": "x", "roof": "open", "extra": 1})
    assert _fields(answer) == ["name", "city", "country", "surface", "extra"]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"}",
        b"{'a': 1}",
        b'{"name": NaN}',
        b'{"name": 1e999}',
        b'{"name": "\\ud800"}',
        b"\xff\xfe{}",
        b'{"a":1}x',
    ],
)
def test_malformed_json_is_400(api: httpx.Client, content: bytes) -> None:
    for method, path in (("POST", "/leagues/"), ("PUT", "/leagues/1"), ("PATCH", "/leagues/1")):
        answer = api.request(method, path, content=content, headers={"content-type": "application/json"})
        assert answer.status_code == 400
        assert set(answer.json()) <= {"detail", "errors"}


@pytest.mark.parametrize("content", [b"[]", b"null", b'"text"', b"7", b"true", b"[{}]"])
def test_a_body_that_is_no_object_is_400(api: httpx.Client, content: bytes) -> None:
    answer = api.post("/leagues/", content=content, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "The request body must be a JSON object."})


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_a_deeply_nested_body_is_400(api: httpx.Client, opening: bytes) -> None:
    answer = api.post("/leagues/", content=opening * 100_000, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()) == (400, {"detail": "The request body is nested too deeply."})


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"content-type": "text/plain"},
        {"content-type": "application/x-www-form-urlencoded"},
        {"content-type": "multipart/form-data; boundary=x"},
        {"content-type": "application/jsonp"},
        {"content-type": "application/json; charset=utf-16"},
        {"content-type": "application/json", "content-encoding": "gzip"},
    ],
)
def test_a_body_that_is_not_declared_as_json_is_415(api: httpx.Client, headers: dict[str, str]) -> None:
    content = b'{"name": "A", "abbreviation": "TYPE", "country": "US"}'
    for method, path in (("POST", "/leagues/"), ("PUT", "/leagues/1"), ("PATCH", "/leagues/1")):
        answer = api.request(method, path, content=content, headers=headers)
        assert answer.status_code == 415
        assert set(answer.json()) == {"detail"}


@pytest.mark.parametrize(
    "kind", ["application/json; charset=utf-8", "APPLICATION/JSON", "application/merge-patch+json"]
)
def test_other_media_types_of_json_are_accepted(api: httpx.Client, kind: str) -> None:
    assert api.patch("/leagues/99", content=b"{}", headers={"content-type": kind}).status_code == 404


def test_a_repeated_member_has_its_last_value(api: httpx.Client) -> None:
    content = b'{"name": "First", "name": "Last", "abbreviation": "TWICE", "country": "US"}'
    answer = api.post("/leagues/", content=content, headers={"content-type": "application/json"})
    assert answer.json()["name"] == "Last"

"""A resource over HTTP: create, retrieve, replace, patch and delete."""

from __future__ import annotations

import socket

import httpx
import pytest

from tests.griddy.resource_api import Rows

LEAGUE = {"name": "National Football League", "abbreviation": "NFL", "country": "US"}
BEYOND_AN_ID = [
    "0",
    "-1",
    "+1",
    "01",
    "1_0",
    "1.0",
    "1e0",
    "abc",
    "\uff11",
    "%EF%BC%91",
    "%201",
    "1%00",
    "0x1",
    "9" * 19,
    "9" * 400,
]


@pytest.mark.parametrize("slash", ["", "/"])
def test_a_row_is_created_read_changed_and_deleted(api: httpx.Client, slash: str) -> None:
    created = api.post(f"/leagues{slash}", json=LEAGUE)
    assert created.status_code == 201
    assert created.json() == {"id": 1, **LEAGUE}
    assert created.headers["location"] == "/api/v1/leagues/1/"
    row = f"/leagues/1{slash}"
    assert api.get(row).json() == {"id": 1, **LEAGUE}
    replaced = api.put(row, json={**LEAGUE, "name": "The League"})
    assert (replaced.status_code, replaced.json()) == (200, {"id": 1, **LEAGUE, "name": "The League"})
    changed = api.patch(row, json={"country": "CA"})
    assert (changed.status_code, changed.json()) == (200, {"id": 1, **LEAGUE, "name": "The League", "country": "CA"})
    assert api.get(row).json() == changed.json()
    deleted = api.delete(row)
    assert (deleted.status_code, deleted.content) == (204, b"")
    for gone in (api.get(row), api.put(row, json=LEAGUE), api.patch(row, json={}), api.delete(row)):
        assert (gone.status_code, gone.json()) == (404, {"detail": "League not found."})


def test_the_id_of_a_deleted_row_is_not_reused(api: httpx.Client) -> None:
    api.post("/leagues/", json=LEAGUE)
    api.delete("/leagues/1/")
    assert api.post("/leagues/", json=LEAGUE).json()["id"] == 2


@pytest.mark.parametrize("path", ["/leagues/", "/leagues/1/", "/leagues/?cursor=bad", "/leagues/7/"])
def test_head_has_the_headers_of_get_without_a_body(api: httpx.Client, path: str) -> None:
    api.post("/leagues/", json=LEAGUE)
    get = api.get(path)
    with socket.create_connection((api.base_url.host, api.base_url.port or 0), timeout=10) as connection:
        connection.sendall(f"HEAD /api/v1{path} HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    assert body == b""
    assert head.split()[1] == str(get.status_code).encode()
    assert f"content-length: {len(get.content)}".encode() in head.lower().splitlines()


@pytest.mark.parametrize(("method", "body"), [("GET", None), ("PUT", LEAGUE), ("PATCH", {}), ("DELETE", None)])
def test_an_invalid_id_is_not_found(api: httpx.Client, method: str, body: object) -> None:
    api.post("/leagues/", json=LEAGUE)
    for spelled in BEYOND_AN_ID:
        answer = api.request(method, f"/leagues/{spelled}/", json=body)
        assert (answer.status_code, answer.json()) == (404, {"detail": "League not found."}), spelled
    assert api.get("/leagues/1").status_code == 200


def test_replacing_sets_missing_fields_to_their_defaults(api: httpx.Client) -> None:
    rows = Rows(api)
    franchise = rows.create("franchises", league_id=rows.league(), name="Bears", first_season=1920)
    whole = api.get(f"/franchises/{franchise}").json()
    replaced = api.put(f"/franchises/{franchise}", json={"league_id": whole["league_id"], "name": "Bears"})
    assert replaced.json() == {**whole, "first_season": None}


def test_replacing_needs_every_required_field(api: httpx.Client) -> None:
    api.post("/leagues/", json=LEAGUE)
    answer = api.put("/leagues/1", json={"name": "Only a name"})
    assert answer.status_code == 400
    assert [error["field"] for error in answer.json()["errors"]] == ["abbreviation", "country"]
    assert api.get("/leagues/1").json() == {"id": 1, **LEAGUE}


def test_an_empty_patch_changes_nothing(api: httpx.Client) -> None:
    api.post("/leagues/", json=LEAGUE)
    answer = api.patch("/leagues/1", json={})
    assert (answer.status_code, answer.json()) == (200, {"id": 1, **LEAGUE})


def test_a_patch_may_clear_only_optional_fields(api: httpx.Client) -> None:
    rows = Rows(api)
    rows.create("franchises", league_id=rows.league(), name="Bears", first_season=1920)
    assert api.patch("/franchises/1", json={"first_season": None}).json()["first_season"] is None
    refused = api.patch("/franchises/1", json={"name": None})
    assert refused.status_code == 400
    assert refused.json()["errors"] == [{"field": "name", "message": "must be a string"}]


def test_a_patch_is_validated_with_the_rest_of_the_row(api: httpx.Client) -> None:
    rows = Rows(api)
    season = rows.create("seasons", league_id=rows.league(), year=2024, starts_on="2024-09-05", ends_on="2025-02-09")
    before = api.get(f"/seasons/{season}").json()
    refused = api.patch(f"/seasons/{season}", json={"starts_on": "2025-09-05"})
    assert refused.status_code == 400
    assert refused.json()["errors"] == [{"field": "ends_on", "message": "must not be before starts_on"}]
    assert api.get(f"/seasons/{season}").json() == before
    both = api.patch(f"/seasons/{season}", json={"starts_on": "2025-09-04", "ends_on": "2026-02-08"})
    assert both.json() == {**before, "starts_on": "2025-09-04", "ends_on": "2026-02-08"}


@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT", "DELETE"])
def test_a_method_that_a_path_does_not_have_is_405(api: httpx.Client, method: str) -> None:
    path = "/leagues/1" if method == "POST" else "/leagues/"
    assert api.request(method, path, json=LEAGUE).status_code == 405

"""The holdings over HTTP: constraints between their fields, and tags of assets."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.griddy.resource_api import Rows


def _fields(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 400, answer.text
    return [error["field"] for error in answer.json()["errors"]]


def test_every_kind_of_row_can_be_written_and_read_back(api: httpx.Client) -> None:
    source = {"kind": "archive", "name": "Film Archive", "url": "https://archive.example", "note": "Ask\nfirst.\t"}
    acquisition = {"source_id": 1, "acquired_on": "2024-06-15", "cost": 2**53, "currency": "USD", "note": None}
    asset = {
        "acquisition_id": 1,
        "game_id": Rows(api).game()["game_id"],
        "title": "Newsreel",
        "duration_seconds": 480,
        "width": 720,
        "height": 576,
        "sha256": "a1" * 32,
        "storage_uri": "s3://footage/newsreel.mov",
    }
    tag = {"name": "archive", "description": None}
    for path, body in (("sources", source), ("acquisitions", acquisition), ("video-assets", asset), ("tags", tag)):
        assert api.post(f"/{path}/", json=body).json() == {"id": 1, **body}
        assert api.get(f"/{path}/1/").json() == {"id": 1, **body}


def test_a_cost_needs_a_currency_and_vice_versa(api: httpx.Client) -> None:
    source = Rows(api).create("sources", kind="shop", name="A shop")
    body: dict[str, Any] = {"source_id": source, "acquired_on": "2024-01-02"}
    assert _fields(api.post("/acquisitions/", json={**body, "cost": 100})) == ["currency"]
    assert _fields(api.post("/acquisitions/", json={**body, "currency": "USD"})) == ["currency"]
    assert api.post("/acquisitions/", json={**body, "cost": 0, "currency": "USD"}).status_code == 201
    assert _fields(api.patch("/acquisitions/1", json={"currency": None})) == ["currency"]
    free = api.patch("/acquisitions/1", json={"cost": None, "currency": None})
    assert (free.json()["cost"], free.json()["currency"]) == (None, None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sha256", "A1" * 32),
        ("sha256", "a1" * 31),
        ("sha256", "a1" * 32 + "\n"),
        ("storage_uri", "footage"),
        ("storage_uri", "s3://a b"),
        ("storage_uri", "javascript:alert(1)"),
        ("storage_uri", "s3://" + "x" * 2000),
        ("width", 0),
        ("height", 20_001),
        ("duration_seconds", -1),
        ("title", "\u202egnp.exe"),
    ],
)
def test_a_field_of_an_asset_out_of_bounds_is_refused(api: httpx.Client, field: str, value: object) -> None:
    asset = Rows(api).video_asset()["video_asset_id"]
    assert _fields(api.patch(f"/video-assets/{asset}", json={field: value})) == [field]


def test_an_asset_is_tagged_and_untagged(api: httpx.Client) -> None:
    rows = Rows(api)
    asset = rows.video_asset()["video_asset_id"]
    overtime, archive = rows.create("tags", name="overtime"), rows.create("tags", name="archive")
    tags = f"/video-assets/{asset}/tags"
    assert api.post(tags, json={"tag_id": overtime}).json() == {"id": 1, "video_asset_id": asset, "tag_id": overtime}
    api.post(tags, json={"tag_id": archive})
    again = api.post(tags, json={"tag_id": overtime})
    assert (again.status_code, again.json()) == (409, {"detail": "Another video asset tag has the same tag_id."})
    assert [row["tag_id"] for row in api.get(tags).json()["results"]] == [overtime, archive]
    assert _fields(api.post(tags, json={"tag_id": 99})) == ["tag_id"]
    assert api.post("/video-assets/99/tags", json={"tag_id": overtime}).json() == {"detail": "Video asset not found."}
    assert api.delete(f"{tags}/1").status_code == 204
    assert [row["tag_id"] for row in api.get(tags).json()["results"]] == [archive]


def test_a_used_tag_cannot_be_deleted_and_an_asset_is_deleted_with_its_tags(api: httpx.Client) -> None:
    rows = Rows(api)
    asset, tag = rows.video_asset()["video_asset_id"], rows.create("tags", name="overtime")
    rows.create(f"video-assets/{asset}/tags", tag_id=tag)
    refused = api.delete(f"/tags/{tag}")
    assert refused.status_code == 409
    assert refused.json()["detail"].startswith("This tag is still referenced by video asset tags:")
    assert api.delete(f"/video-assets/{asset}").status_code == 204
    assert api.get(f"/video-assets/{asset}/tags").status_code == 404
    assert api.delete(f"/tags/{tag}").status_code == 204

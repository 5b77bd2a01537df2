"""Resources in the OpenAPI document, and the number of statements of a request."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from litestar import Litestar
from litestar.testing import TestClient
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.griddy.catalog import RESOURCES as CATALOG
from app.griddy.holdings import RESOURCES as HOLDINGS
from tests.griddy.resource_api import build

RESOURCES = (*CATALOG, *HOLDINGS)


@pytest.fixture(scope="module")
def document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    url = f"sqlite:///{tmp_path_factory.mktemp('document') / 'unused.db'}"
    return build(open_engine(url)).openapi_schema.to_schema()


def _item(document: dict[str, Any], path: str) -> str:
    (found,) = [
        key for key in document["paths"] if key.startswith(f"{path}/{{") and key.count("/") == path.count("/") + 1
    ]
    return str(found)


def test_each_resource_has_all_its_operations_and_names_its_ids(document: dict[str, Any]) -> None:
    for resource in RESOURCES:
        path = f"/api/v1/{resource.path}"
        assert set(document["paths"][path]) == {"get", "head", "post"}
        item = _item(document, path)
        assert set(document["paths"][item]) == {"get", "head", "put", "patch", "delete"}
    assert "/api/v1/leagues/{league_id}" in document["paths"]
    assert "/api/v1/games/{game_id}/drives/{drive_id}" in document["paths"]
    assert "/api/v1/video-assets/{video_asset_id}/tags/{video_asset_tag_id}" in document["paths"]


def test_operations_have_summaries_and_unique_ids(document: dict[str, Any]) -> None:
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    ids = [operation["operationId"] for operation in operations]
    assert len(ids) == len(set(ids)) == 8 * len(RESOURCES)
    assert all(operation["summary"] and operation["tags"] for operation in operations)
    assert document["paths"]["/api/v1/video-assets"]["get"]["operationId"] == "list_video_assets"
    assert document["paths"]["/api/v1/acquisitions"]["post"]["summary"] == "Create an acquisition"


def test_possible_refusals_are_described(document: dict[str, Any]) -> None:
    paths = document["paths"]
    for resource in RESOURCES:
        path = f"/api/v1/{resource.path}"
        item = paths[_item(document, path)]
        parent = {"404"} if "{" in resource.path else set()
        assert set(paths[path]["get"]["responses"]) == {"200", "400"} | parent
        assert set(paths[path]["post"]["responses"]) == {"201", "400", "409"} | parent
        assert set(item["get"]["responses"]) >= {"200", "404"}
        assert set(item["put"]["responses"]) == set(item["patch"]["responses"]) == {"200", "400", "404", "409"}
        assert set(item["delete"]["responses"]) >= {"204", "404", "409"}


def test_bodies_and_rows_are_typed_with_their_bounds(document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    team, body, patch = schemas["Team"], schemas["TeamBody"], schemas["TeamPatch"]
    assert body["additionalProperties"] is False
    assert "id" not in body["properties"]
    assert set(body["required"]) == {"franchise_id", "location", "nickname", "abbreviation"}
    assert body["properties"]["abbreviation"]["pattern"] == "^[A-Z0-9]{2,8}$"
    assert not patch.get("required")
    assert set(patch["properties"]) == set(body["properties"])
    assert set(team["required"]) == set(team["properties"]) == {"id", *body["properties"]}
    assert schemas["Venue"]["properties"]["roof"]["enum"] == ["open", "fixed", "retractable"]
    assert schemas["VenueBody"]["properties"]["capacity"]["anyOf"][0] == {
        "type": "integer",
        "minimum": 0,
        "maximum": 1_000_000,
    }
    assert schemas["TeamPage"]["properties"]["results"]["items"] == {"$ref": "#/components/schemas/Team"}
    parameters = document["paths"]["/api/v1/games/{game_id}/drives/{drive_id}"]["get"]["parameters"]
    assert [(of["name"], of["in"], of["schema"]["type"], of["required"]) for of in parameters] == [
        ("game_id", "path", "integer", True),
        ("drive_id", "path", "integer", True),
    ]


@pytest.fixture
def engine(tmp_path: Path) -> AsyncEngine:
    url = f"sqlite:///{tmp_path / 'counted.db'}"
    asyncio.run(upgrade(url))
    return open_engine(url)


def test_a_request_sends_a_fixed_number_of_statements(engine: AsyncEngine) -> None:
    asked: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        if not statement.startswith(("BEGIN", "PRAGMA")):
            asked.append(statement)

    event.listen(engine.sync_engine, "before_cursor_execute", note)
    app: Litestar = build(engine)
    with TestClient(app) as client:

        def questions(method: str, path: str, body: object = None) -> int:
            asked.clear()
            answer = client.request(method, path, json=body)
            assert answer.is_success, answer.text
            return len(asked)

        for number in range(60):
            assert questions("POST", "/api/v1/tags/", {"name": f"tag {number}"}) == 1
        assert questions("GET", "/api/v1/tags/") == 1
        onwards = client.get("/api/v1/tags/").json()["next"]
        assert questions("GET", onwards) == 2
        assert questions("GET", "/api/v1/tags/1/") == 1
        assert questions("HEAD", "/api/v1/tags/1/") == 1
        assert questions("PUT", "/api/v1/tags/1/", {"name": "one"}) == 1
        assert questions("PATCH", "/api/v1/tags/1/", {"name": "uno"}) == 2
        assert questions("DELETE", "/api/v1/tags/1/") == 1

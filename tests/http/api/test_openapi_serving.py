"""The document is created for the first request under each policy; the application is assembled for it once."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from litestar import Litestar, get
from litestar.openapi import OpenAPIConfig

from app.http.api.openapi.document import ApiInfo
from app.http.api.openapi.serving import OpenApiDocument
from app.policy.engine.live import LivePolicy
from app.policy.routing.routes import Route, RouteTable
from tests.policy.small import files

pytestmark = pytest.mark.anyio


@get("/x", sync_to_thread=False)
def retrieve_thing() -> None: ...


def write(directory: Path, *rows: str) -> None:
    for name, content in files(*rows).items():
        (directory / name).write_bytes(content)


async def test_a_request_finds_the_document_of_the_active_policy(tmp_path: Path) -> None:
    write(tmp_path, "p, a:read, /x, GET, allow")
    live = LivePolicy(tmp_path, RouteTable([Route("/x", "GET")]))
    assembled = list[OpenAPIConfig]()

    def assemble(config: OpenAPIConfig) -> Litestar:
        assembled.append(config)
        return Litestar([retrieve_thing], openapi_config=config)

    document = OpenApiDocument(live, assemble, ApiInfo("A", "An API.", {}, None), None)
    first = await document.current()
    assert first.revision == live.active.revision
    assert json.loads(first.json)["paths"]["/x"]["get"]["x-needs"] == [["a:read"]]
    write(tmp_path, "p, b:read, /x, GET, allow")
    assert (await live.reload()).outcome == "swapped"
    second = await document.current()
    assert second.revision == live.active.revision != first.revision
    assert json.loads(second.json)["paths"]["/x"]["get"]["x-needs"] == [["b:read"]]
    assert b"/x" in second.page
    assert len(assembled) == 1

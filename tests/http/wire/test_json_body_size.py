"""Bodies with very many fields or items: one error, and not one for each of them."""

from __future__ import annotations

import json
from typing import Annotated, Any

import httpx
import pytest
from litestar import Litestar, post
from litestar.params import JSONBody
from pydantic import BaseModel, ConfigDict, Field

from app.http.wire.errors import HANDLERS
from app.http.wire.json_body import only_json
from app.http.wire.problems import INVALID_BODY

pytestmark = pytest.mark.anyio

MAX_VALUES = 1_000
TOO_MANY_VALUES = "The request body has more than 1000 fields and items."


class KeyBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: str = "n"
    scopes: Annotated[list[str], Field(max_length=500)] = []
    files: Annotated[dict[str, str], Field(max_length=500)] = {}


@post("/", before_request=only_json, sync_to_thread=False)
def store(data: JSONBody[KeyBody]) -> int:
    return len(data.scopes) + len(data.files)


async def answer(body: object) -> httpx.Response:
    app: Any = Litestar([store], exception_handlers=HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://a") as client:
        return await client.post("/", content=json.dumps(body), headers={"Content-Type": "application/json"})


MANY = range(MAX_VALUES + 1)


@pytest.mark.parametrize(
    "body",
    [
        {f"field_{number}": number for number in MANY},
        {"scopes": list(MANY)},
        {"scopes": [str(number) for number in MANY]},
        {"files": {str(number): number for number in MANY}},
        {"unknown": list(MANY)},
        {"scopes": [1] * MAX_VALUES},
        {"scopes": [1] * (MAX_VALUES // 2 - 1), "files": {str(number): 1 for number in range(MAX_VALUES // 2)}},
    ],
    ids=["fields", "numbers", "texts", "object", "unknown list", "one more", "together"],
)
async def test_very_many_values_are_one_error(body: object) -> None:
    found = await answer(body)
    assert (found.status_code, found.json()) == (400, {"detail": TOO_MANY_VALUES})


async def test_as_many_as_a_body_may_have_are_read() -> None:
    full = {"scopes": ["a"] * 490, "files": {str(number): "b" for number in range(500)}}
    found = await answer(full)
    assert (found.status_code, found.json()) == (201, 990)
    found = await answer({"scopes": [1] * (MAX_VALUES - 1)})
    assert (found.status_code, found.json()["detail"]) == (400, INVALID_BODY)

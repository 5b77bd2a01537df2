"""JSON responses with very long lists, encoded in slices so that they do not block the event loop."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any, TypeVar, cast

from litestar import MediaType, Response
from litestar.serialization import encode_json
from msgspec import UNSET

SLICE_LENGTH = 1_000  # items, some hundred KB
_View = TypeVar("_View")


async def sliced_response(view: _View) -> Response[_View]:
    """The JSON response with a dataclass, whose fields may be long lists."""
    members: list[bytes] = []
    for each in fields(cast(Any, view)):
        value = getattr(view, each.name)
        if value is not UNSET:
            members.append(encode_json(each.name) + b":" + await _encoded(value))
    return Response(cast(Any, b"{" + b",".join(members) + b"}"), media_type=MediaType.JSON)


async def _encoded(value: object) -> bytes:
    if not isinstance(value, list) or len(value) <= SLICE_LENGTH:
        return encode_json(value)
    slices: list[bytes] = []
    for start in range(0, len(value), SLICE_LENGTH):
        slices.append(encode_json(value[start : start + SLICE_LENGTH])[1:-1])
        await asyncio.sleep(0)
    return b"[" + b",".join(slices) + b"]"

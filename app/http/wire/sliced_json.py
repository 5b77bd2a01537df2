"""Answers with very long lists: encoded slice by slice, so that other requests have their turns in between."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from typing import Any, TypeVar, cast

from litestar import MediaType, Response
from litestar.serialization import encode_json
from msgspec import UNSET

AT_ONCE = 1_000  # items of a list, some hundred KB
_View = TypeVar("_View")


async def sliced(view: _View) -> Response[_View]:
    """The answer that a dataclass makes as JSON; its own lists are what may be long."""
    members: list[bytes] = []
    for each in fields(cast(Any, view)):
        value = getattr(view, each.name)
        if value is not UNSET:
            members.append(encode_json(each.name) + b":" + await _encoded(value))
    return Response(cast(Any, b"{" + b",".join(members) + b"}"), media_type=MediaType.JSON)


async def _encoded(value: object) -> bytes:
    if not isinstance(value, list) or len(value) <= AT_ONCE:
        return encode_json(value)
    slices: list[bytes] = []
    for start in range(0, len(value), AT_ONCE):
        slices.append(encode_json(value[start : start + AT_ONCE])[1:-1])
        await asyncio.sleep(0)
    return b"[" + b",".join(slices) + b"]"

"""Serves styles and scripts from memory; their addresses change with their content, so browsers cache them."""

from __future__ import annotations

from pathlib import PurePosixPath

from litestar import Response, route
from litestar.enums import HttpMethod
from litestar.params import FromPath

from app.console.page import SAFE_HEADERS, STATIC
from app.http.wire.problems import Problem

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {**SAFE_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}


@route("/console/static/{name:str}", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def asset(name: FromPath[str]) -> Response[bytes]:
    """Serve a static file."""
    content = STATIC.get(name)
    if content is None:
        raise Problem(404, "There is no such file.")
    return Response(content, media_type=_TYPES[PurePosixPath(name).suffix], headers=_HEADERS)

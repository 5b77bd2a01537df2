"""Serves styles and scripts from memory; their addresses change with their content, so browsers cache them."""

from __future__ import annotations

from pathlib import PurePosixPath

from litestar import Response
from litestar.params import FromPath

from app.console.page import SAFE_HEADERS, STATIC
from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem

_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
_HEADERS = {**SAFE_HEADERS, "Cache-Control": "public, max-age=31536000, immutable"}


@get_or_head("/console/static/{name:str}")
async def asset(name: FromPath[str]) -> Response[bytes]:
    """Serve a static file."""
    content = STATIC.get(name)
    if content is None:
        raise Problem(404, "There is no such file.")
    return Response(content, media_type=_TYPES[PurePosixPath(name).suffix], headers=_HEADERS)

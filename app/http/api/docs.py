"""The handlers of the documentation page."""

from __future__ import annotations

from pathlib import Path

from litestar import MediaType, Response

from app.http.wire.handlers import get_or_head
from app.services import AnyRequest, services_of

_HERE = Path(__file__).parent / "pages"
_style = (_HERE / "style.css").read_bytes()
_SOURCES = ("default-src 'none'", "style-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'")
_HEADERS = {
    "Content-Security-Policy": "; ".join(_SOURCES),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


@get_or_head("/docs", media_type="text/html", include_in_schema=False)
async def docs(request: AnyRequest) -> Response[bytes]:
    """All operations with their permissions, bodies and responses."""
    served = await services_of(request.app).documents.current()
    return Response(served.page, media_type=MediaType.HTML, headers=_HEADERS)


@get_or_head("/docs/style.css", media_type="text/css", include_in_schema=False)
async def docs_style() -> Response[bytes]:
    """The style sheet of the page."""
    return Response(_style, media_type="text/css", headers={**_HEADERS, "Cache-Control": "max-age=300"})

"""The front page, which leads to the first page that the user may open."""

from __future__ import annotations

from litestar import Response

from app.console.nav import open_to
from app.console.page import page, see_other
from app.http.wire.handlers import get_or_head
from app.services import AnyRequest, services_of


@get_or_head("/console")
async def home(request: AnyRequest) -> Response[str] | Response[None]:
    """Redirect to the first page of the navigation, or say that no page is open."""
    live = services_of(request.app).live
    groups = open_to(request.user, live.active)
    return see_other(groups[0].items[0].path) if groups else page(request, "home.html")

"""The front page, which leads to the first page that the user may open."""

from __future__ import annotations

from litestar import Response, route
from litestar.enums import HttpMethod

from app.console.nav import open_to
from app.console.page import page, see_other
from app.services import AnyRequest, services_of


@route("/console", http_method=[HttpMethod.GET, HttpMethod.HEAD], include_in_schema=False)
async def home(request: AnyRequest) -> Response[str] | Response[None]:
    """Redirect to the first page of the navigation, or say that no page is open."""
    live = services_of(request.app).live
    groups = open_to(request.user, live.active)
    return see_other(groups[0].items[0].path) if groups else page(request, "home.html")

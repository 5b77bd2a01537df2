"""The page of serving processes: the revision of each, and its lag."""

from __future__ import annotations

from litestar import Response

from app.console.page import page
from app.history.fleet import fleet
from app.history.replica import LIVE_BEATS, beat_seconds
from app.http.wire.filters import check_filters
from app.http.wire.handlers import get_or_head
from app.services import AnyRequest, services_of

PATH = "/console/replicas"


@get_or_head(PATH)
async def show(request: AnyRequest) -> Response[str]:
    """Show all processes on this database; the one that answers is marked."""
    check_filters(request, beside=())
    services = services_of(request.app)
    beat = beat_seconds(services.settings.database_url)
    found = await fleet(services.sessions, beat)
    live = [each for each in found.results if each.live]
    replica = services.replica
    return page(
        request,
        "replicas.html",
        newest=found.newest,
        replicas=found.results,
        live=len(live),
        behind=sum(1 for each in live if each.lag_revisions),
        silent_after=round(LIVE_BEATS * beat),
        here_row=replica.row,
    )


ROUTES = (show,)

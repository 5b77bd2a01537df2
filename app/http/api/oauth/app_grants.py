"""The API of what users allow an app, for administrators."""

from __future__ import annotations

from litestar import Response

from app.http.api.oauth.apps import PATH as APPS
from app.http.api.oauth.apps import AppId
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.link import LINK, Cursor, link_after, read_before
from app.http.wire.page_size import limit_size
from app.http.wire.problems import detail_spec
from app.oauth.app_grants import UserGrant, page_of_user_grants
from app.oauth.app_list import find_app
from app.services import services_of

PAGE_SIZE = 100


@get_or_head(
    f"{APPS}/{{app_id:str}}/grants",
    summary="List what users allow an app",
    tags=["apps"],
    responses={
        400: detail_spec("The cursor is invalid", "The cursor is invalid: use the one in `Link` as it is."),
        404: detail_spec("No such app", "App not found."),
    },
    response_headers=[LINK],
)
async def list_app_grants(
    app_id: AppId,
    request: AllowedRequest,
    session: RequestSession,
    cursor: Cursor = None,
) -> Response[list[UserGrant]]:
    """Consents that are not revoked, newest first, at most 100. `Link` has the next page (RFC 8288)."""
    app = await find_app(session, read_id(app_id))
    path = f"{APPS}/{app.id}/grants"
    rows = await page_of_user_grants(session, app.id, before=read_before(cursor, path), limit=PAGE_SIZE + 1)
    shown = limit_size(rows[:PAGE_SIZE], lambda row: sum(map(len, (row.user, *row.scopes))))
    headers = link_after(services_of(request.app), path, shown, rows)
    return Response(list(shown), headers=headers)

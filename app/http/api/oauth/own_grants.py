"""The API of what a user allowed apps. Rows of the policy allow it to signed-in users, each for their own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import Response, delete

from app.http.api.actors import requesting_actor
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.ids import id_of, read_id
from app.http.wire.link import LINK, Cursor, link_after, read_before
from app.http.wire.problems import detail_spec
from app.oauth.grants import list_grants
from app.oauth.own_grants import EndedGrants, GrantView, end_own_grant, end_own_grants, view_of_grant
from app.services import services_of

PATH = "/api/v1/oauth/grants"
PAGE_SIZE = 100
_TAG = "apps"


@get_or_head(
    PATH,
    summary="List the apps that you allowed",
    tags=[_TAG],
    responses={400: detail_spec("The cursor is invalid", "The cursor is invalid: use the one in `Link` as it is.")},
    response_headers=[LINK],
)
async def list_own_grants(
    request: AllowedRequest,
    session: RequestSession,
    cursor: Cursor = None,
) -> Response[list[GrantView]]:
    """What you allowed, newest first, at most 100. If there are more, `Link` has the next page (RFC 8288)."""
    before = read_before(cursor, PATH)
    found = await list_grants(session, request.user.subject, before=before, limit=PAGE_SIZE + 1)
    shown = found[:PAGE_SIZE]
    headers = link_after(services_of(request.app), PATH, [each.grant for each in shown], found)
    return Response([view_of_grant(each) for each in shown], headers=headers)


@delete(
    f"{PATH}/{{grant_id:str}}",
    status_code=204,
    summary="End the access of an app",
    tags=[_TAG],
    responses={404: detail_spec("You allowed no such access, or have ended it", "Grant not found.")},
)
async def end_grant(
    grant_id: Annotated[str, id_of("the access")], request: AllowedRequest, session: RequestSession
) -> None:
    """All tokens of the app that act for you are refused from the next request on."""
    by, now = requesting_actor(request), datetime.now(UTC)
    ended = await end_own_grant(session, request.user.subject, read_id(grant_id), by, now)
    services_of(request.app).app_tokens.invalidate(f"grant:{ended}")


@delete(PATH, status_code=200, summary="End the access of all apps", tags=[_TAG])
async def end_all_grants(request: AllowedRequest, session: RequestSession) -> EndedGrants:
    """All tokens that act for you are refused from the next request on."""
    by, now = requesting_actor(request), datetime.now(UTC)
    ended = await end_own_grants(session, request.user.subject, by, now)
    for grant_id in ended:
        services_of(request.app).app_tokens.invalidate(f"grant:{grant_id}")
    return EndedGrants(len(ended))


ROUTES = (list_own_grants, end_grant, end_all_grants)

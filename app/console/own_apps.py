"""The page of the apps that a user allowed, where their access ends."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import Response, post
from litestar.params import FromPath, QueryParameter

from app.console.page import page, see_other
from app.http.api.actors import requesting_actor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.oauth.grants import list_grants
from app.oauth.own_grants import end_own_grant, end_own_grants, view_of_grant
from app.services import AnyRequest, services_of

PATH = "/console/apps"


@get_or_head(PATH)
async def show_own_apps(
    request: AnyRequest,
    session: RequestSession,
    done: Annotated[Literal["", "ended", "all"], QueryParameter()] = "",
) -> Response[str]:
    """Show the apps that act for the user: what they may do, since when, and when they last did."""
    check_filters(request, beside=("done",))
    found = await list_grants(session, request.user.subject)
    return page(
        request,
        "own_apps.html",
        apps=[view_of_grant(each) for each in found],
        catalog=services_of(request.app).live.active.policy.catalog,
        done=done,
    )


@post(f"{PATH}/{{grant_id:str}}/end")
async def end_app(grant_id: FromPath[str], request: AnyRequest, session: RequestSession) -> Response[None]:
    """End the access of one app."""
    by, now = requesting_actor(request), datetime.now(UTC)
    ended = await end_own_grant(session, request.user.subject, read_id(grant_id), by, now)
    services_of(request.app).app_tokens.invalidate(f"grant:{ended}")
    return see_other(f"{PATH}?done=ended")


@post(f"{PATH}/end-all")
async def end_all_apps(request: AnyRequest, session: RequestSession) -> Response[None]:
    """End the access of every app."""
    by, now = requesting_actor(request), datetime.now(UTC)
    for grant_id in await end_own_grants(session, request.user.subject, by, now):
        services_of(request.app).app_tokens.invalidate(f"grant:{grant_id}")
    return see_other(f"{PATH}?done=all")


ROUTES = (show_own_apps, end_app, end_all_apps)

"""The registry of third-party apps: a list, and a page for each app."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Literal, get_args
from urllib.parse import urlencode

from litestar import Response
from litestar.params import FromPath, QueryParameter

from app.console.page import may_open, page
from app.http.wire.cursors import CursorPosition, write_cursor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.link import read_before
from app.oauth.app_grants import page_of_user_grants
from app.oauth.app_list import STATUSES, AppFilter, AppStatus, find_app, page_of_apps, view_app, view_apps
from app.oauth.client import KINDS, ClientKind
from app.oauth.clients import client_of
from app.policy.engine.app_scopes import askable_scopes
from app.services import AnyRequest, services_of

PATH = "/console/registered-apps"
PAGE_SIZE = 50
KIND_NAMES: Mapping[str, str] = {
    "registered": "Registered",
    "document": "Describes itself",
    "dynamic": "Registered itself",
}
_Kind = Literal["", "registered", "document", "dynamic"]
_Status = Literal["", "enabled", "disabled"]
_Done = Literal["", "changed", "disabled", "enabled", "removed"]


@get_or_head(PATH)
async def show_apps(
    request: AnyRequest,
    session: RequestSession,
    *,
    kind: Annotated[_Kind, QueryParameter()] = "",
    status: Annotated[_Status, QueryParameter()] = "",
    cursor: Annotated[str, QueryParameter()] = "",
    done: Annotated[_Done, QueryParameter()] = "",
) -> Response[str]:
    """Show a page of the apps that match, newest first."""
    check_filters(request, "kind", "status", beside=("cursor", "done"))
    now = datetime.now(UTC)
    filters = {name: value for name, value in (("kind", kind), ("status", status)) if value}
    listing = f"{PATH}?{urlencode(filters)}"
    chosen: ClientKind | None = next((each for each in KINDS if each == kind), None)
    state: AppStatus | None = next((each for each in STATUSES if each == status), None)
    before = read_before(cursor or None, listing)
    rows = await page_of_apps(session, AppFilter(None, chosen, state), now, before=before, limit=PAGE_SIZE + 1)
    shown = rows[:PAGE_SIZE]
    following = None
    if len(rows) > PAGE_SIZE:
        more = write_cursor(CursorPosition(before=shown[-1].id), listing)
        following = f"{PATH}?{urlencode({**filters, 'cursor': more})}"
    return page(
        request,
        "registered_apps.html",
        apps=await view_apps(session, shown, now),
        kinds=KIND_NAMES,
        statuses=get_args(AppStatus),
        kind=kind,
        shown=status,
        is_filtered=bool(filters),
        first=listing if cursor else None,
        following=following,
        removed_now=done == "removed",
        may_register=may_open(request, f"{PATH}/new", "POST"),
    )


@get_or_head(f"{PATH}/{{app_id:str}}")
async def show_app(
    app_id: FromPath[str],
    request: AnyRequest,
    session: RequestSession,
    done: Annotated[_Done, QueryParameter()] = "",
    cursor: Annotated[str, QueryParameter()] = "",
) -> Response[str]:
    """Show an app: its redirects, its secret, what it may ask for by the rows, and a page of what users allow it."""
    check_filters(request, beside=("cursor", "done"))
    row = await find_app(session, read_id(app_id))
    app = await view_app(session, row, datetime.now(UTC))
    here = f"{PATH}/{app.id}"
    before = read_before(cursor or None, here)
    grants = await page_of_user_grants(session, app.id, before=before, limit=PAGE_SIZE + 1)
    following = None
    if len(grants) > PAGE_SIZE:
        more = write_cursor(CursorPosition(before=grants[PAGE_SIZE - 1].id), here)
        following = f"{here}?{urlencode({'cursor': more})}"
    return page(
        request,
        "registered_app.html",
        app=app,
        asks=askable_scopes(services_of(request.app).live.active, client_of(row)),
        may_read_rows=may_open(request, "/console/policy"),
        grants=grants[:PAGE_SIZE],
        first=here if cursor else None,
        following=following,
        kind_name=KIND_NAMES.get(app.kind, app.kind),
        done=done if (done == "disabled") is not app.is_enabled else "",
        may_change=may_open(request, f"{PATH}/{{app_id}}/disable", "POST"),
        may_read_log=may_open(request, "/console/admin-actions"),
        log=f"/console/admin-actions?{urlencode({'target': f'app:{app.client_id}'})}",
    )


ROUTES = (show_apps, show_app)

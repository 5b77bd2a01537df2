"""The API of the registry of third-party apps. Rows of the policy allow it to signed-in administrators alone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import urlencode

from litestar import Response, delete, patch, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from pydantic import BaseModel, ConfigDict, Field

from app.db.tables.fields import INTEGER, Flag
from app.db.tables.oauth_clients import OAuthClient
from app.http.api.actors import requesting_actor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.ids import id_of, read_id
from app.http.wire.json_body import json_or_nothing, json_where_room
from app.http.wire.link import LINK, Cursor, link_after, read_before
from app.http.wire.operations import OptionalBodyOperation
from app.http.wire.page_size import limit_size
from app.http.wire.problems import InvalidBody, detail_spec
from app.oauth import registry
from app.oauth.app_list import AppFilter, AppStatus, find_app, page_of_apps, view_app, view_apps
from app.oauth.app_order import AppEdit, AppOrder
from app.oauth.app_view import AppView, AppWithSecret, view_with_secret
from app.oauth.client import ClientKind
from app.oauth.registry import tag_of
from app.services import services_of

PATH = "/api/v1/oauth/apps"
PAGE_SIZE = 100
_TAG = "apps"
AppId = Annotated[str, id_of("the app")]
_NOT_FOUND: Mapping[int, ResponseSpec] = {404: detail_spec("No such app", "App not found.")}
_INVALID: Mapping[int, ResponseSpec] = {400: ResponseSpec(InvalidBody, description="The body is invalid")}


class RegisterApp(BaseModel):
    """An app to register. A confidential one runs on a server and gets a secret; any other proves itself by PKCE."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(description="At most 60 printable characters, which users read.")]
    redirect_uris: Annotated[
        list[str],
        Field(description="https, http on a loopback host, or a reversed domain name such as com.example.app: ."),
    ]
    confidential: Flag = False


class EditApp(BaseModel):
    """What to change of an app. Other redirects ask its users for consent again."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = None
    redirect_uris: list[str] | None = None


class RotateSecret(BaseModel):
    """For how many seconds the old and the new secret are both accepted; 0 ends every old one."""

    model_config = ConfigDict(extra="forbid")

    overlap_seconds: Annotated[int, Field(ge=0, le=registry.MAX_OVERLAP_SECONDS), INTEGER] = registry.OVERLAP_SECONDS


@post(
    PATH,
    status_code=201,
    before_request=json_where_room,
    summary="Register an app",
    tags=[_TAG],
    responses={**_INVALID, 409: detail_spec("There are as many apps as there may be")},
)
async def register_app(
    data: JSONBody[RegisterApp], request: AllowedRequest, session: RequestSession
) -> Response[AppWithSecret]:
    """The secret of a confidential app is only in this response. A new app may do nothing until a user allows it."""
    now = datetime.now(UTC)
    order = AppOrder(data.name, data.redirect_uris, data.confidential)
    new = await registry.register_app(session, order, requesting_actor(request), now)
    return await _with_secret(session, new, now)


@get_or_head(
    PATH,
    summary="List apps",
    tags=[_TAG],
    responses={400: ResponseSpec(InvalidBody, description="The cursor is invalid, or a filter is invalid or unknown")},
    response_headers=[LINK],
)
async def list_apps(
    request: AllowedRequest,
    session: RequestSession,
    *,
    client_id: Annotated[str | None, QueryParameter(description="Only the app with this client id.")] = None,
    kind: Annotated[ClientKind | None, QueryParameter(description="Only apps of this kind.")] = None,
    status: Annotated[AppStatus | None, QueryParameter(description="Only apps with this status.")] = None,
    cursor: Cursor = None,
) -> Response[list[AppView]]:
    """Apps, newest first, at most 100. If there are more, `Link` has the next page (RFC 8288)."""
    check_filters(request, "client_id", "kind", "status")
    now = datetime.now(UTC)
    filters = {name: value for name, value in (("client_id", client_id), ("kind", kind), ("status", status)) if value}
    listing = f"{PATH}?{urlencode(filters)}" if filters else PATH
    before = read_before(cursor, listing)
    rows = await page_of_apps(session, AppFilter(client_id, kind, status), now, before=before, limit=PAGE_SIZE + 1)
    shown = limit_size(rows[:PAGE_SIZE], lambda row: sum(map(len, row.redirect_uris)))
    headers = link_after(services_of(request.app), PATH, shown, rows, listing=listing, filters=filters)
    return Response(await view_apps(session, shown, now), headers=headers)


@get_or_head(f"{PATH}/{{app_id:str}}", summary="Show an app", tags=[_TAG], responses=_NOT_FOUND)
async def retrieve_app(app_id: AppId, session: RequestSession) -> AppView:
    """An app of any kind, also a disabled one."""
    return await view_app(session, await find_app(session, read_id(app_id)), datetime.now(UTC))


@patch(
    f"{PATH}/{{app_id:str}}",
    before_request=json_where_room,
    summary="Change an app",
    tags=[_TAG],
    responses={
        **_NOT_FOUND,
        **_INVALID,
        409: detail_spec(
            "The app describes itself", "This app describes itself, so it cannot be changed here: disable it instead."
        ),
    },
)
async def change_app(
    app_id: AppId, data: JSONBody[EditApp], request: AllowedRequest, session: RequestSession
) -> AppView:
    """What the body does not have stays. Only a registered app can be changed."""
    now = datetime.now(UTC)
    edit = AppEdit(data.name, data.redirect_uris)
    row = await registry.change_app(session, read_id(app_id), edit, requesting_actor(request), now)
    return await _changed(request, session, row, now)


@post(
    f"{PATH}/{{app_id:str}}/rotate",
    status_code=201,
    before_request=json_or_nothing,
    operation_class=OptionalBodyOperation,
    summary="Rotate the secret of an app",
    tags=[_TAG],
    responses={
        **_NOT_FOUND,
        **_INVALID,
        409: detail_spec(
            "The app has no secret, or two secrets are accepted already",
            "This app has no secret: register a confidential one instead.",
        ),
    },
)
async def rotate_app_secret(
    app_id: AppId,
    request: AllowedRequest,
    session: RequestSession,
    data: JSONBody[RotateSecret | None] = None,
) -> Response[AppWithSecret]:
    """Give the app a new secret. The old one is accepted for `overlap_seconds`."""
    services_of(request.app).disk.require_space()
    now = datetime.now(UTC)
    overlap = (data or RotateSecret()).overlap_seconds
    by = requesting_actor(request)
    new = await registry.rotate_secret(session, read_id(app_id), by, now, overlap_seconds=overlap)
    return await _with_secret(session, new, now)


@post(
    f"{PATH}/{{app_id:str}}/disable",
    status_code=200,
    summary="Disable an app",
    tags=[_TAG],
    responses=_NOT_FOUND,
)
async def disable_app(app_id: AppId, request: AllowedRequest, session: RequestSession) -> AppView:
    """Nothing that the app was given is accepted any more. Disabling again changes nothing."""
    now = datetime.now(UTC)
    row = await registry.disable_app(session, read_id(app_id), requesting_actor(request), now)
    return await _changed(request, session, row, now)


@post(
    f"{PATH}/{{app_id:str}}/enable",
    status_code=200,
    summary="Enable an app",
    tags=[_TAG],
    responses=_NOT_FOUND,
)
async def enable_app(app_id: AppId, request: AllowedRequest, session: RequestSession) -> AppView:
    """What users allowed the app counts again. Enabling again changes nothing."""
    now = datetime.now(UTC)
    row = await registry.enable_app(session, read_id(app_id), requesting_actor(request), now)
    return await _changed(request, session, row, now)


@delete(
    f"{PATH}/{{app_id:str}}",
    status_code=204,
    summary="Remove an app",
    tags=[_TAG],
    responses={**_NOT_FOUND, 409: detail_spec("The app is known by its document and disabled")},
)
async def delete_app(app_id: AppId, request: AllowedRequest, session: RequestSession) -> None:
    """Delete an app, with everything that users allowed it.

    Its client id is never used again, except by an app that is known by its document: that one stays disabled instead.
    """
    row = await registry.remove_app(session, read_id(app_id), requesting_actor(request), datetime.now(UTC))
    services_of(request.app).app_tokens.invalidate(tag_of(row))


ROUTES = [
    register_app,
    list_apps,
    retrieve_app,
    change_app,
    rotate_app_secret,
    disable_app,
    enable_app,
    delete_app,
]


async def _changed(request: AllowedRequest, session: RequestSession, row: OAuthClient, now: datetime) -> AppView:
    """The answer to a change, which the next request with a token of the app obeys."""
    services_of(request.app).app_tokens.invalidate(tag_of(row))
    return await view_app(session, row, now)


async def _with_secret(session: RequestSession, new: registry.NewSecret, now: datetime) -> Response[AppWithSecret]:
    shown = view_with_secret(await view_app(session, new.app, now), new.plaintext)
    return Response(shown, headers={"Cache-Control": "no-store"})

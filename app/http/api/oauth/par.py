"""Pushed authorization requests (RFC 9126)."""

from __future__ import annotations

from datetime import UTC, datetime

import msgspec
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy.ext.asyncio import AsyncSession

from app.http.api.oauth.errors import TokenError, no_store
from app.http.api.oauth.form import (
    CLIENT_FIELDS,
    NO_SERVER_SPEC,
    authorization_of,
    form_operation,
    kept_request,
    read_form,
    server_of,
)
from app.http.door.budgets import AUTHORIZATIONS
from app.http.wire.handlers import RequestSession
from app.identity.app_facts import InvalidApp
from app.oauth.authorization import NoRedirect, check_request, redirect_of
from app.oauth.client_authentication import HAS_NO_SECRET, ClientCredentials, authenticate_client, read_credentials
from app.oauth.client_document import ClientDocumentRefused, address_of_document, is_document_id
from app.oauth.errors import BadClientSecret, OAuthError
from app.oauth.fair_share import origin_of
from app.oauth.lifetimes import PUSHED_REQUEST
from app.oauth.requests import OpenRequest, push_request
from app.services import AnyRequest, services_of


class PushedResponse(msgspec.Struct):
    """The name of a pushed request, for `/oauth/authorize`. It can be used once."""

    request_uri: str
    expires_in: int


_Form = form_operation(
    ("response_type", "code_challenge", "code_challenge_method"),
    response_type="code.",
    redirect_uri="Where the answer goes; the only one of the app without it.",
    scope="The permissions to ask for; all that the app may ask for without it.",
    state="A value for the answer.",
    code_challenge="The SHA-256 of the PKCE verifier.",
    code_challenge_method="S256.",
    resource="The resource that the tokens are for (RFC 8707).",
    **CLIENT_FIELDS,
)


@post(
    "/oauth/par",
    status_code=201,
    summary="Push an authorization request of an app",
    tags=["apps"],
    operation_class=_Form,
    responses={
        201: ResponseSpec(PushedResponse, description="The request is kept for a minute"),
        400: ResponseSpec(TokenError, description="The request is not accepted"),
        401: ResponseSpec(TokenError, description="The app is not authenticated"),
        404: NO_SERVER_SPEC,
        429: ResponseSpec(TokenError, description="Too many requests"),
    },
)
async def push_authorization_request(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Check an authorization request, and keep it for one use."""
    server_of(request)
    services = services_of(request.app)
    services.budgets.check_request(AUTHORIZATIONS, request.scope)
    services.disk.require_space()
    form = await read_form(request)
    given = read_credentials(authorization_of(request), form.parameters)
    if "request_uri" in form.parameters:
        raise OAuthError("invalid_request", "A pushed request has no `request_uri`.")
    now = datetime.now(UTC)
    asked = kept_request(given.client_id, form)
    if is_document_id(given.client_id):
        _check_document_id(given)
    else:
        await _check(request, session, given, asked, now)
    await session.rollback()
    origin = origin_of(services.budgets.address_of(request.scope))
    request_uri = await push_request(session, asked, origin, now)
    await session.commit()
    content = PushedResponse(request_uri, int(PUSHED_REQUEST.total_seconds()))
    return no_store(msgspec.json.encode(content), 201)


def _check_document_id(given: ClientCredentials) -> None:
    """Check what is known of an app before its document is fetched, after the sign-in. Raises BadClientSecret."""
    try:
        address_of_document(given.client_id)
    except ClientDocumentRefused as refused:
        raise BadClientSecret(f"There is no app with this `client_id`: {refused}.", basic=given.basic) from None
    if given.secret is not None:
        raise BadClientSecret(HAS_NO_SECRET, basic=given.basic)


async def _check(
    request: AnyRequest, session: AsyncSession, given: ClientCredentials, asked: OpenRequest, now: datetime
) -> None:
    services, server = services_of(request.app), server_of(request)
    client = await authenticate_client(session, given, now, count_failure=services.budgets.count_client_secret)
    try:
        redirect_uri = redirect_of(client, asked)
        check_request(client, asked, redirect_uri, services.live.active, server.resource_of)
    except NoRedirect as refused:
        raise OAuthError("invalid_request", str(refused)) from None
    except InvalidApp:
        raise OAuthError("unauthorized_client", "No row of the policy can name this app.") from None

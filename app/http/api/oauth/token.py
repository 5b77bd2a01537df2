"""The token endpoint (RFC 6749 section 3.2)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal

import msgspec
from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec

from app.http.api.oauth.errors import TokenError, no_store
from app.http.api.oauth.form import (
    CLIENT_FIELDS,
    NO_SERVER_SPEC,
    authorization_of,
    form_operation,
    read_form,
    server_of,
)
from app.http.door.budgets import TOKENS
from app.http.wire.handlers import RequestSession
from app.oauth.client_authentication import read_credentials
from app.services import AnyRequest, services_of


class TokenResponse(msgspec.Struct, omit_defaults=True):
    """The tokens of an app. Without `refresh_token` it keeps the one that it has."""

    access_token: str
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    refresh_token: str | None = None


_Form = form_operation(
    ("grant_type",),
    grant_type="authorization_code or refresh_token.",
    code="The code of an answer.",
    code_verifier="The PKCE verifier of its request.",
    redirect_uri="The redirect of its request.",
    refresh_token="A refresh token.",  # noqa: S106  # a description
    scope="With a refresh token: fewer scopes than it stands for.",
    resource="The resource that the tokens are for (RFC 8707).",
    **CLIENT_FIELDS,
)


@post(
    "/oauth/token",
    status_code=200,
    summary="Issue tokens to an app",
    tags=["apps"],
    operation_class=_Form,
    responses={
        200: ResponseSpec(TokenResponse, description="The tokens"),
        400: ResponseSpec(TokenError, description="The request, the code or the refresh token is not accepted"),
        401: ResponseSpec(TokenError, description="The app is not authenticated"),
        404: NO_SERVER_SPEC,
        429: ResponseSpec(TokenError, description="Too many requests"),
    },
)
async def issue_tokens(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Exchange a code with its PKCE verifier, or a refresh token."""
    server = server_of(request)
    services_of(request.app).budgets.check_request(TOKENS, request.scope)
    form = await read_form(request)
    given = read_credentials(authorization_of(request), form.parameters)
    issued = await server.exchange.exchange(session, given, form.parameters, form.resources, datetime.now(UTC))
    content = TokenResponse(
        issued.access_token, "Bearer", issued.expires_in, " ".join(issued.scopes), issued.refresh_token
    )
    return no_store(msgspec.json.encode(content))

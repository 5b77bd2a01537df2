"""The revocation endpoint (RFC 7009)."""

from __future__ import annotations

from datetime import UTC, datetime

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
from app.oauth import revocation
from app.oauth.client_authentication import authenticate_client, read_credentials
from app.oauth.errors import OAuthError
from app.services import AnyRequest, services_of

_Form = form_operation(
    ("token",),
    token="An access token or a refresh token.",  # noqa: S106  # a description
    token_type_hint="Ignored: the prefix of a token shows its type.",  # noqa: S106  # as above
    **CLIENT_FIELDS,
)


@post(
    "/oauth/revoke",
    status_code=200,
    summary="Revoke a token of an app",
    tags=["apps"],
    operation_class=_Form,
    responses={
        200: ResponseSpec(None, description="The token is revoked, or was never valid"),
        400: ResponseSpec(TokenError, description="The request is invalid, or the token belongs to another app"),
        401: ResponseSpec(TokenError, description="The app is not authenticated"),
        404: NO_SERVER_SPEC,
        429: ResponseSpec(TokenError, description="Too many requests"),
    },
)
async def revoke_token(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Revoke an access token, or with a refresh token all tokens that came from one consent of the user.

    An unknown token gets the same answer as one that was revoked.
    """
    server_of(request)
    services = services_of(request.app)
    services.budgets.check_request(TOKENS, request.scope)
    form = await read_form(request)
    given = read_credentials(authorization_of(request), form.parameters)
    now = datetime.now(UTC)
    client = await authenticate_client(session, given, now, count_failure=services.budgets.count_client_secret)
    token = form.parameters.get("token")
    if token is None:
        raise OAuthError("invalid_request", "Send a `token`.")
    await session.rollback()  # `revoke_token` begins with the lock
    family = await revocation.revoke_token(session, client, token, now)
    if family is not None:
        services.app_tokens.invalidate(f"family:{family}")
    return no_store(b"")

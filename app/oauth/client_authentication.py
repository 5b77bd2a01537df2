"""Authentication of apps at the token endpoint (RFC 6749 section 2.3.1): basic, post, or none."""

from __future__ import annotations

import binascii
from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from urllib.parse import unquote_plus

from sqlalchemy.ext.asyncio import AsyncSession

from app.oauth.client import Client
from app.oauth.clients import find_client
from app.oauth.errors import BadClientSecret, OAuthError

METHODS = ("none", "client_secret_basic", "client_secret_post")
HAS_NO_SECRET = "This app has no secret: send its `client_id` alone."  # noqa: S105  # a message
_BASIC = "basic"


@dataclass(frozen=True, slots=True)
class ClientCredentials:
    """What an app sent to authenticate; `secret` is None for an app that has none."""

    client_id: str
    secret: str | None = field(repr=False)
    basic: bool


def read_credentials(authorization: str | None, form: Mapping[str, str]) -> ClientCredentials:
    """The credentials in a request. Raises OAuthError if there are none, or in several places."""
    if authorization is None:
        client_id = form.get("client_id")
        if client_id is None:
            raise BadClientSecret("Send the `client_id` of your app.", basic=False)
        return ClientCredentials(client_id, form.get("client_secret"), basic=False)
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != _BASIC:
        raise OAuthError("invalid_request", "An app authenticates here with Basic or in the form.")
    if "client_secret" in form:
        raise OAuthError("invalid_request", "Send the secret in the header or in the form, not in both.")
    try:
        sent = b64decode(encoded.strip(" "), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise BadClientSecret("The Basic credentials are malformed.", basic=True) from None
    name, colon, secret = sent.partition(":")
    client_id = unquote_plus(name)
    # As in the form, where no value has a NUL: PostgreSQL has none in text.
    if not colon or not client_id.isprintable() or form.get("client_id", client_id) != client_id:
        raise BadClientSecret("The Basic credentials are malformed, or of another `client_id`.", basic=True)
    return ClientCredentials(client_id, unquote_plus(secret) or None, basic=True)


async def authenticate_client(
    session: AsyncSession, given: ClientCredentials, now: datetime, *, count_failure: Callable[[str], int]
) -> Client:
    """The app with these credentials. Raises BadClientSecret, and OAuthError for an app that is disabled.

    `count_failure` counts a wrong secret of an app, and returns the seconds to wait if there were too many.
    """
    client = await find_client(session, given.client_id, now)
    if client is None:
        raise BadClientSecret("There is no app with this `client_id`.", basic=given.basic)
    if client.confidential:
        if given.secret is None or not client.accepts_secret(given.secret, now):
            if wait := count_failure(client.client_id):
                raise OAuthError("invalid_request", "Too many wrong secrets of this app.", retry_after=wait)
            raise BadClientSecret("The secret of the app is missing or wrong.", basic=given.basic)
    elif given.secret is not None:
        # The app is public: what it holds for a secret proves nothing, and its developer should know.
        raise BadClientSecret(HAS_NO_SECRET, basic=given.basic)
    if not client.enabled:
        raise OAuthError("unauthorized_client", "This app is disabled here.")
    return client

"""Apps that register themselves (RFC 7591): without credentials, so they expire unless a user allows them something."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.engine import LOCK_FIRST
from app.db.tables.oauth_clients import OAuthClient
from app.identity.oauth_tokens import mint_token
from app.oauth.app_order import faults_of
from app.oauth.app_retention import delete_unused_apps
from app.oauth.client_authentication import METHODS
from app.oauth.errors import OAuthError
from app.oauth.fair_share import SharedTable, make_room
from app.oauth.names import UNNAMED
from app.oauth.registry import new_row

UNUSED = timedelta(days=1)
MAX_UNUSED = 10_000  # of all addresses together
# A disabled app stays.
_UNUSED = (col(OAuthClient.expires_at).is_not(None), col(OAuthClient.disabled_at).is_(None))
_SHARED = SharedTable(OAuthClient, col(OAuthClient.id), col(OAuthClient.origin), counted=_UNUSED)
_DEFAULT_METHOD = "client_secret_basic"  # RFC 7591 section 2


@dataclass(frozen=True, slots=True)
class RequestedClient:
    """The metadata of an app that registers itself. Other metadata than this is ignored."""

    name: str
    redirect_uris: tuple[str, ...]
    auth_method: str


@dataclass(frozen=True, slots=True)
class DynamicClient:
    """An app that registered itself, with its secret if it authenticates with one. Nothing else has the secret."""

    app: OAuthClient
    auth_method: str
    secret: str | None = field(repr=False)


def read_metadata(metadata: Mapping[str, object]) -> RequestedClient:
    """Read the metadata of a request. Raises OAuthError with a code of RFC 7591 section 3.2.2."""
    method = metadata.get("token_endpoint_auth_method", _DEFAULT_METHOD)
    if not isinstance(method, str) or method not in METHODS:
        raise _invalid(f"`token_endpoint_auth_method` must be one of {', '.join(METHODS)}.")
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        if name in metadata and needed not in _texts(metadata, name):
            raise _invalid(f"`{name}` must have `{needed}`.")
    if "redirect_uris" not in metadata:
        raise OAuthError("invalid_redirect_uri", "`redirect_uris` is missing.")
    uris = _texts(metadata, "redirect_uris")
    client_name = metadata.get("client_name", UNNAMED)
    if not isinstance(client_name, str):
        raise _invalid("`client_name` must be text.")
    for fault in faults_of(client_name, uris, by_administrator=False):
        if fault.field == "name":
            raise _invalid(f"`client_name` {fault.message}.")
        raise OAuthError("invalid_redirect_uri", f"`redirect_uris` {fault.message}.")
    return RequestedClient(client_name, tuple(uris), method)


async def register_client(
    session: AsyncSession, requested: RequestedClient, origin: str, now: datetime
) -> DynamicClient:
    """Store an app that registers itself from an origin.

    If there are too many apps that no user has allowed anything, the oldest of the largest network are deleted.
    """
    await session.connection(execution_options=LOCK_FIRST)
    secret = None if requested.auth_method == "none" else mint_token("secret")
    row = new_row("dynamic", requested.name, requested.redirect_uris, secret, created_by="", now=now)
    row.expires_at, row.origin = now + UNUSED, origin
    session.add(row)
    await session.flush()  # first: on SQLite a transaction that has read may fail at once when it writes
    await delete_unused_apps(session, now)
    await make_room(session, _SHARED, MAX_UNUSED)
    await session.commit()
    return DynamicClient(row, requested.auth_method, secret)


def _texts(metadata: Mapping[str, object], name: str) -> list[str]:
    values = metadata[name]
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise _invalid(f"`{name}` must be a list of texts.")
    return values


def _invalid(description: str) -> OAuthError:
    return OAuthError("invalid_client_metadata", description)

"""Authorization requests that wait in the database: pushed by a client (RFC 9126), or for the consent of a user."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.session import lock_first
from app.db.tables.oauth import AuthorizationRequest
from app.oauth.errors import OAuthError
from app.oauth.fair_share import SharedTable, delete_free, make_room
from app.oauth.lifetimes import OPEN_REQUESTS, PUSHED_REQUEST, REQUEST

URN = "urn:ietf:params:oauth:request_uri:"
_NAME = re.compile(r"[0-9a-f]{48}")
_ID = col(AuthorizationRequest.id)
_SHARED = SharedTable(
    AuthorizationRequest, _ID, col(AuthorizationRequest.origin), parties=(col(AuthorizationRequest.client_id),)
)
# What of a request is kept; clients may send other parameters, which have no meaning here.
KEPT_PARAMETERS = (
    "response_type",
    "response_mode",
    "redirect_uri",
    "scope",
    "state",
    "code_challenge",
    "code_challenge_method",
    "resource",
    "request",
)


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """A request of a client. `resource` may be several, separated by spaces, which no URI contains."""

    client_id: str
    parameters: Mapping[str, str]


async def push_request(session: AsyncSession, request: OpenRequest, origin: str, now: datetime) -> str:
    """Store a pushed request that comes from an origin, and return its `request_uri`."""
    return URN + await _store(session, request, origin, browser=None, lifetime=PUSHED_REQUEST, now=now)


async def take_pushed_request(session: AsyncSession, request_uri: str, client_id: str, now: datetime) -> OpenRequest:
    """Use a pushed request, which can be done once. Raises OAuthError `invalid_request_uri`."""
    name = request_uri.removeprefix(URN)
    if not request_uri.startswith(URN) or not _NAME.fullmatch(name):
        raise OAuthError("invalid_request_uri", "The `request_uri` is not one of a pushed request.")
    pushed = and_(
        col(AuthorizationRequest.digest) == digest_of_name(name),
        col(AuthorizationRequest.browser).is_(None),
        col(AuthorizationRequest.client_id) == client_id,
    )
    await lock_first(session)
    found = await _take(session, pushed)
    if found is None or found[1] <= now:
        raise OAuthError("invalid_request_uri", "The `request_uri` is unknown, expired, used, or of another app.")
    return found[0]


async def open_request(session: AsyncSession, request: OpenRequest, origin: str, browser: str, now: datetime) -> str:
    """Store a request that comes from an origin and waits for the user of a browser, and return its name."""
    return await _store(session, request, origin, browser=digest_of_name(browser), lifetime=REQUEST, now=now)


async def find_request(session: AsyncSession, name: str, browser: str | None, now: datetime) -> OpenRequest | None:
    """The request with a name that this browser began; None if it was answered, or has expired."""
    if browser is None or not _NAME.fullmatch(name):
        return None
    query = select(AuthorizationRequest).where(
        col(AuthorizationRequest.digest) == digest_of_name(name),
        col(AuthorizationRequest.browser) == digest_of_name(browser),
        col(AuthorizationRequest.expires_at) > now,
    )
    row = (await session.scalars(query)).one_or_none()
    return None if row is None else OpenRequest(row.client_id, row.parameters)


async def finish_request(session: AsyncSession, name: str) -> bool:
    """Remove a request that is answered; return False if it was answered before."""
    return await _take(session, col(AuthorizationRequest.digest) == digest_of_name(name)) is not None


def digest_of_name(name: str) -> bytes:
    """The digest that is stored for a random name: 192 random bits need no slow hash."""
    return hashlib.sha256(name.encode()).digest()


async def _store(
    session: AsyncSession,
    request: OpenRequest,
    origin: str,
    *,
    browser: bytes | None,
    lifetime: timedelta,
    now: datetime,
) -> str:
    await lock_first(session)
    name = secrets.token_hex(24)
    row = AuthorizationRequest(
        digest=digest_of_name(name),
        browser=browser,
        client_id=request.client_id,
        origin=origin,
        parameters=dict(request.parameters),
        created_at=now,
        expires_at=now + lifetime,
    )
    session.add(row)
    await session.flush()  # first: on SQLite a transaction that has read may fail at once when it writes
    await delete_free(session, _SHARED, select(_ID).where(col(AuthorizationRequest.expires_at) <= now))
    # Ids grow, so as a rule the difference shows that there are few rows, without a count.
    oldest = (await session.scalars(select(func.min(_ID)))).one()
    if row.id - oldest >= OPEN_REQUESTS:
        await make_room(session, _SHARED, OPEN_REQUESTS)
    return name


async def _take(session: AsyncSession, which: ColumnElement[bool]) -> tuple[OpenRequest, datetime] | None:
    taken = (
        delete(AuthorizationRequest)
        .where(which)
        .returning(
            col(AuthorizationRequest.client_id),
            col(AuthorizationRequest.parameters),
            col(AuthorizationRequest.expires_at),
        )
    )
    row = (await session.execute(taken, execution_options={"synchronize_session": False})).one_or_none()
    return None if row is None else (OpenRequest(row[0], row[1]), row[2])

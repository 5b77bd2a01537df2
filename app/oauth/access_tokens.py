"""Access tokens: issues them, and looks them up for the verifier."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.digest_lookups import DigestLookups
from app.db.session import Sessions
from app.db.tables.oauth import AccessToken, AppGrant, Person, TokenFamily
from app.db.tables.oauth_clients import OAuthClient
from app.identity.access_token_verifier import AccessTokenRecord, AppRecord
from app.identity.app_facts import AppKind
from app.identity.oauth_tokens import mint_token
from app.identity.organization import from_json
from app.oauth.errors import OAuthError
from app.oauth.lifetimes import ACCESS_TOKEN, ACCESS_TOKENS

_RECORD: Any = (  # its type has more columns than SQLAlchemy's overloads
    select(
        col(AccessToken.digest),
        col(AccessToken.scopes),
        col(AccessToken.expires_at),
        col(AccessToken.revoked_at),
        col(TokenFamily.id).label("family_id"),
        col(TokenFamily.resource),
        col(TokenFamily.revoked_at).label("family_revoked_at"),
        col(AppGrant.id).label("grant_id"),
        col(AppGrant.revoked_at).label("grant_revoked_at"),
        col(OAuthClient.id).label("app_id"),
        col(OAuthClient.client_id),
        col(OAuthClient.kind),
        col(OAuthClient.host),
        col(OAuthClient.disabled_at),
        col(Person.id).label("person_id"),
        col(Person.subject),
        col(Person.permissions),
        col(Person.organization),
        col(Person.blocked_at),
    )
    .join(TokenFamily, col(TokenFamily.id) == col(AccessToken.family_id))
    .join(AppGrant, col(AppGrant.id) == col(TokenFamily.grant_id))
    .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
    .join(Person, col(Person.id) == col(AppGrant.person_id))
)


def access_token_lookup(sessions: Sessions) -> Callable[[bytes], Awaitable[AccessTokenRecord | None]]:
    """Return a function that looks up the access token with a SHA-256, also if it was ended or has expired.

    The function raises CannotVerify when the database does not answer in time.
    """
    return DigestLookups(sessions, _records, noun="tokens of apps", logger="oauth").find


async def issue_access_token(session: AsyncSession, family_id: int, scopes: Iterable[str], now: datetime) -> str:
    """Store a new access token of a family and return it. Its expired ones are deleted. Raises OAuthError."""
    own = col(AccessToken.family_id) == family_id
    await session.execute(delete(AccessToken).where(own, col(AccessToken.expires_at) <= now))
    live, first = (await session.execute(select(func.count(), func.min(col(AccessToken.expires_at))).where(own))).one()
    if live >= ACCESS_TOKENS:
        wait = max(1, round((first - now).total_seconds()))
        description = f"There are {ACCESS_TOKENS} access tokens from this consent: use one of them."
        raise OAuthError("invalid_request", description, retry_after=wait)
    token = mint_token("access")
    session.add(
        AccessToken(family_id=family_id, digest=digest_of(token), scopes=sorted(scopes), expires_at=now + ACCESS_TOKEN)
    )
    return token


def digest_of(token: str) -> bytes:
    """The SHA-256 of a token: 192 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


async def _records(session: AsyncSession, digests: Sequence[bytes]) -> Mapping[bytes, AccessTokenRecord]:
    rows = await session.execute(_RECORD.where(col(AccessToken.digest).in_(digests)))
    return {
        row.digest: AccessTokenRecord(
            grant_id=row.grant_id,
            tags=(
                f"family:{row.family_id}",
                f"grant:{row.grant_id}",
                f"app:{row.app_id}",
                f"person:{row.person_id}",
            ),
            subject=row.subject,
            app=AppRecord(row.client_id, cast(AppKind, row.kind), row.host or ""),
            scopes=frozenset(row.scopes),
            permissions=frozenset(row.permissions),
            organization=from_json(row.organization),
            resource=row.resource,
            expires_at=row.expires_at,
            is_ended=any(
                (row.revoked_at, row.family_revoked_at, row.grant_revoked_at, row.disabled_at, row.blocked_at)
            ),
        )
        for row in rows
    }

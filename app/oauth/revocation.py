"""Revocation of a token by its app (RFC 7009)."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.disk import carry_out
from app.db.session import lock_first
from app.db.tables.oauth import AccessToken, AppGrant, TokenFamily
from app.db.tables.oauth_clients import OAuthClient
from app.identity.oauth_tokens import has_shape
from app.oauth.access_tokens import digest_of
from app.oauth.client import Client
from app.oauth.errors import OAuthError
from app.oauth.token_families import find_family


async def revoke_token(session: AsyncSession, client: Client, token: str, now: datetime) -> int | None:
    """End an access token alone, or with a refresh token the whole family; return the id of the family.

    An unknown token is no error, and None is returned. Raises OAuthError for a token of another app.
    """

    async def revoke() -> int | None:
        await lock_first(session)
        is_access = has_shape(token, "access")
        family_id = await (_end_access_token if is_access else _end_family)(session, client, token, now)
        await session.commit()
        return family_id

    return await carry_out(session, revoke)


async def _end_family(session: AsyncSession, client: Client, token: str, now: datetime) -> int | None:
    found = await find_family(session, token)
    if found is None:
        return None
    _check_owner(client, found.client_id)
    found.family.revoked_at = found.family.revoked_at or now
    return found.family.id


async def _end_access_token(session: AsyncSession, client: Client, token: str, now: datetime) -> int | None:
    query = (
        select(AccessToken, col(OAuthClient.client_id))
        .join(TokenFamily, col(TokenFamily.id) == col(AccessToken.family_id))
        .join(AppGrant, col(AppGrant.id) == col(TokenFamily.grant_id))
        .join(OAuthClient, col(OAuthClient.id) == col(AppGrant.app_id))
        .where(col(AccessToken.digest) == digest_of(token))
    )
    row = (await session.execute(query)).one_or_none()
    if row is None:
        return None
    _check_owner(client, row[1])
    row[0].revoked_at = row[0].revoked_at or now
    return int(row[0].family_id)


def _check_owner(client: Client, client_id: str) -> None:
    if client.client_id != client_id:
        raise OAuthError("invalid_grant", "The token belongs to another app.")

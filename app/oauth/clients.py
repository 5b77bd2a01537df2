"""Clients in the database. None of these functions commits."""

from __future__ import annotations

from datetime import datetime
from typing import cast

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth_clients import OAuthClient
from app.oauth.client import Client, ClientKind, ClientSecret

MAX_ID_CHARACTERS = 500


async def find_client(session: AsyncSession, client_id: str, now: datetime) -> Client | None:
    """The stored client with this id, also if it is disabled; None if there is none, or it has expired."""
    row = await find_row(session, client_id)
    if row is None or (row.expires_at is not None and row.expires_at <= now):
        return None
    return client_of(row)


async def find_row(session: AsyncSession, client_id: str) -> OAuthClient | None:
    """The row of the client with this id; None if there is none."""
    # PostgreSQL has no NUL in text, and no client has such an id.
    if not client_id or len(client_id) > MAX_ID_CHARACTERS or not client_id.isprintable():
        return None
    return (await session.scalars(select(OAuthClient).where(col(OAuthClient.client_id) == client_id))).one_or_none()


def client_of(row: OAuthClient) -> Client:
    """The client of a row."""
    secrets = []
    if row.secret_digest is not None:
        secrets.append(ClientSecret(row.secret_digest))
    if row.former_digest is not None:
        secrets.append(ClientSecret(row.former_digest, row.former_until or row.changed_at))
    return Client(
        client_id=row.client_id,
        kind=cast(ClientKind, row.kind),
        name=row.name,
        host=row.host or "",
        redirect_uris=tuple(row.redirect_uris),
        version=row.version,
        created_at=row.created_at,
        changed_at=row.changed_at,
        secrets=tuple(secrets),
        disabled_at=row.disabled_at,
    )

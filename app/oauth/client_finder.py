"""Finds a client for an authorization request, whatever its kind, and its row when a user consents to it."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.tables.oauth_clients import OAuthClient
from app.oauth.app_retention import delete_unused_apps
from app.oauth.client import Client
from app.oauth.client_document import is_document_id
from app.oauth.clients import find_client
from app.oauth.document_clients import DocumentClients


class ClientFinder:
    """Finds stored clients and those that documents describe."""

    def __init__(self, documents: DocumentClients) -> None:
        self._documents = documents

    async def find(self, session: AsyncSession, client_id: str, now: datetime, *, user: str) -> Client | None:
        """The client with this id, for a signed-in user; None if there is none. It may be disabled.

        Ends the transaction of the session, so that no connection waits for the host of a document. Raises
        ClientDocumentRefused and BudgetSpent.
        """
        stored = await find_client(session, client_id, now)
        await session.rollback()
        if not is_document_id(client_id) or (stored is not None and not stored.enabled):
            return stored
        return await self._documents.find(client_id, user)


async def consented_app(session: AsyncSession, client: Client, now: datetime) -> OAuthClient | None:
    """The row of a client to which a user consents now; None if it was disabled, removed or changed meanwhile.

    A client with a document gets a row with what the user saw. The transaction must have begun with a write; it holds
    the row until it ends.
    """
    row = await _row(session, client.client_id)
    if row is None and client.kind == "document":
        row = await _insert(session, client, now)
    if row is None or row.disabled_at is not None or (row.expires_at is not None and row.expires_at <= now):
        return None
    if client.kind == "document":
        if row.version != client.version or row.name != client.name:
            row.name, row.redirect_uris = client.name, list(client.redirect_uris)
            row.host, row.version, row.changed_at = client.host or None, client.version, now
    elif row.version != client.version:
        return None
    row.expires_at, row.origin = None, ""  # an app with a user stays
    await session.flush()
    return row


async def _row(session: AsyncSession, client_id: str) -> OAuthClient | None:
    query = select(OAuthClient).where(col(OAuthClient.client_id) == client_id).with_for_update()
    return (await session.scalars(query, execution_options={"populate_existing": True})).one_or_none()


async def _insert(session: AsyncSession, client: Client, now: datetime) -> OAuthClient | None:
    await delete_unused_apps(session, now)
    row = OAuthClient(
        client_id=client.client_id,
        kind=client.kind,
        name=client.name,
        host=client.host or None,
        redirect_uris=list(client.redirect_uris),
        version=client.version,
        created_by="",
        created_at=now,
        changed_at=now,
    )
    try:
        async with session.begin_nested():
            session.add(row)
    except IntegrityError:  # of two first consents at the same time the other one was first
        return await _row(session, client.client_id)
    return row

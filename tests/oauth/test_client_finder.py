"""Clients of any kind for an authorization request, and their rows when a user consents."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import select

from app.audit.actor import Actor
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.oauth_clients import OAuthClient
from app.oauth import registry
from app.oauth.app_order import AppEdit, AppOrder
from app.oauth.client import Client
from app.oauth.client_document import ClientDocumentRefused
from app.oauth.client_finder import ClientFinder, consented_app
from app.oauth.clients import client_of, find_client
from app.oauth.document_clients import DocumentClients
from tests.oauth.document_host import REDIRECT, DocumentHost, document_host

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BY = Actor("user_admin", door="api")
OTHER = "https://b.example/cb"


@pytest.fixture
async def host(tmp_path: Path) -> AsyncIterator[DocumentHost]:
    async with document_host(tmp_path) as started:
        yield started


@pytest.fixture
def finder(host: DocumentHost) -> ClientFinder:
    return ClientFinder(DocumentClients(host.fetch()))


async def consent(sessions: Sessions, client: Client, now: datetime = NOW) -> OAuthClient | None:
    async with sessions() as session:
        await session.connection(execution_options=LOCK_FIRST)
        row = await consented_app(session, client, now)
        await session.commit()
        return row


async def rows(sessions: Sessions) -> list[OAuthClient]:
    async with sessions() as session:
        return list(await session.scalars(select(OAuthClient)))


async def registered(sessions: Sessions) -> Client:
    async with sessions() as session:
        return client_of((await registry.register_app(session, AppOrder("Scores", [REDIRECT]), BY, NOW)).app)


async def test_a_stored_client_is_found_without_a_fetch(
    sessions: Sessions, host: DocumentHost, finder: ClientFinder
) -> None:
    client = await registered(sessions)
    async with sessions() as session:
        assert await finder.find(session, client.client_id, NOW, user="user_a") == client
        assert await finder.find(session, "app_unknown", NOW, user="user_a") is None
        assert await finder.find(session, host.url.replace("https", "http"), NOW, user="user_a") is None
    assert host.lookups == []


async def test_a_document_has_a_row_once_a_user_consents(
    sessions: Sessions, host: DocumentHost, finder: ClientFinder
) -> None:
    async with sessions() as session:
        client = await finder.find(session, host.url, NOW, user="user_a")
        assert client is not None
        assert not session.in_transaction()
    assert await rows(sessions) == []
    row = await consent(sessions, client)
    assert row is not None
    async with sessions() as session:
        stored = await find_client(session, host.url, NOW)
    assert stored == replace(client, created_at=NOW, changed_at=NOW)
    assert (client.host, row.host) == ("", None), "the host of another port is none"
    renamed = replace(client, name="Other")
    moved = replace(renamed, redirect_uris=(OTHER,), version="2", host="b.example")
    for days, changed, shown, changed_on in (
        (1, renamed, None, 1),
        (2, moved, "b.example", 2),
        (3, moved, "b.example", 2),
    ):
        again = await consent(sessions, changed, NOW + timedelta(days=days))
        assert again is not None
        assert (again.id, again.host, again.changed_at) == (row.id, shown, NOW + timedelta(days=changed_on))
        assert (again.name, again.redirect_uris, again.version) == ("Other", [*changed.redirect_uris], changed.version)
    assert len(await rows(sessions)) == 1


async def test_the_row_of_a_document_has_the_host_of_its_address(sessions: Sessions) -> None:
    address = "https://c.example/client.json"
    client = replace(await registered(sessions), client_id=address, kind="document", host="c.example")
    row = await consent(sessions, client)
    assert row is not None
    assert (row.client_id, row.host) == (address, "c.example")


async def test_first_consents_at_the_same_time_share_a_row(
    sessions: Sessions, host: DocumentHost, finder: ClientFinder
) -> None:
    async with sessions() as session:
        client = await finder.find(session, host.url, NOW, user="user_a")
    assert client is not None
    found = await asyncio.gather(*(consent(sessions, client) for _ in range(5)))
    assert len({row.id for row in found if row is not None}) == len(await rows(sessions)) == 1
    assert None not in found


async def test_a_disabled_app_is_found_without_a_fetch_and_gets_no_consent(
    sessions: Sessions, host: DocumentHost, finder: ClientFinder
) -> None:
    async with sessions() as session:
        client = await finder.find(session, host.url, NOW, user="user_a")
        assert client is not None
        row = await consent(sessions, client)
        assert row is not None
        await registry.disable_app(session, row.id, BY, NOW)
        host.serve(b"{")
        fetches = len(host.heads)
        found = await ClientFinder(DocumentClients(host.fetch())).find(session, host.url, NOW, user="user_a")
    assert found is not None
    assert not found.enabled
    assert len(host.heads) == fetches
    assert await consent(sessions, client) is None
    assert await consent(sessions, replace(client, version="2")) is None


async def test_a_document_that_cannot_be_read_is_no_client(
    sessions: Sessions, host: DocumentHost, finder: ClientFinder
) -> None:
    async with sessions() as session:
        client = await finder.find(session, host.url, NOW, user="user_a")
        assert client is not None
        await consent(sessions, client)
        host.serve(b"", status="404 Not Found")
        # A stored row is no substitute: who owns the host now says that there is no app.
        with pytest.raises(ClientDocumentRefused):
            await ClientFinder(DocumentClients(host.fetch())).find(session, host.url, NOW, user="user_a")


async def test_a_consent_to_a_registered_app_as_it_was_does_not_count(sessions: Sessions) -> None:
    client = await registered(sessions)
    row = await consent(sessions, client)
    assert row is not None
    async with sessions() as session:
        await registry.change_app(session, row.id, AppEdit(redirect_uris=[OTHER]), BY, NOW)
        assert await consent(sessions, client) is None
        await registry.remove_app(session, row.id, BY, NOW)
    assert await consent(sessions, client) is None


async def test_a_dynamic_app_with_a_user_stays(sessions: Sessions) -> None:
    client = await registered(sessions)
    async with sessions() as session:
        (row,) = await session.scalars(select(OAuthClient))
        row.kind, row.expires_at = "dynamic", NOW + timedelta(days=1)
        await session.commit()
    assert await consent(sessions, client, NOW + timedelta(days=1)) is None
    assert await consent(sessions, client) is not None
    assert (await rows(sessions))[0].expires_at is None

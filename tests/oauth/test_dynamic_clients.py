"""Apps that registered themselves: their number, and their end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text, update
from sqlmodel import col

from app.audit.actor import Actor
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.oauth import AppGrant, Person
from app.db.tables.oauth_clients import OAuthClient
from app.oauth import dynamic_clients, registry
from app.oauth.app_order import AppOrder
from app.oauth.app_retention import delete_unused_apps
from app.oauth.client_finder import consented_app
from app.oauth.clients import find_client
from app.oauth.dynamic_clients import DynamicClient, RequestedClient, read_metadata, register_client
from app.oauth.fair_share import origin_of

pytestmark = pytest.mark.anyio

# Not far from now: on PostgreSQL the clock of the server counts.
NOW = datetime.now(UTC)
REQUESTED = RequestedClient("Scores", ("https://app.example/cb",), "none")
DAY = timedelta(days=1)


async def register(sessions: Sessions, now: datetime = NOW, address: str = "192.0.2.1") -> DynamicClient:
    async with sessions() as session:
        return await register_client(session, REQUESTED, origin_of(address), now)


async def delete_unused(sessions: Sessions, now: datetime = NOW) -> None:
    async with sessions() as session:
        await session.connection(execution_options=LOCK_FIRST)
        await delete_unused_apps(session, now)
        await session.commit()


async def ids(sessions: Sessions) -> list[int]:
    async with sessions() as session:
        return list(await session.scalars(select(col(OAuthClient.id)).order_by(col(OAuthClient.id))))


async def change(sessions: Sessions, app_id: int, **columns: Any) -> None:
    async with sessions() as session:
        await session.execute(update(OAuthClient).where(col(OAuthClient.id) == app_id).values(**columns))
        await session.commit()


async def test_an_app_that_no_user_allows_anything_expires_and_is_deleted(sessions: Sessions) -> None:
    old = await register(sessions, NOW - 3 * DAY)  # by which SQLite knows that two days ago was a time
    await change(sessions, old.app.id, created_at=NOW - 2 * DAY)
    new = await register(sessions)
    async with sessions() as session:
        assert await find_client(session, old.app.client_id, NOW) is None
        assert await find_client(session, new.app.client_id, NOW)
    assert await ids(sessions) == [new.app.id]


async def test_what_is_not_deleted(sessions: Sessions) -> None:
    async with sessions() as session:
        kept = [
            (
                await registry.register_app(
                    session, AppOrder("Kept", ["https://a.example/"]), Actor("a", door="api"), NOW
                )
            ).app.id
        ]
    apps = [(await register(sessions)).app.id for _ in range(6)]
    long_ago = {"created_at": NOW - 9 * DAY, "changed_at": NOW - 9 * DAY}
    for app_id in (*kept, *apps):
        await change(sessions, app_id, **long_ago)
    expired, disabled, allowed, forgotten, recent, document = apps
    async with sessions() as session:  # SQLite has that of a row as the time that is confirmed
        confirmed = NOW if session.get_bind().dialect.name == "postgresql" else NOW - 2 * DAY
    await change(sessions, expired, expires_at=NOW - 9 * DAY)
    await change(sessions, disabled, expires_at=NOW - 9 * DAY, disabled_at=NOW)
    await change(sessions, allowed, expires_at=None)
    await change(sessions, forgotten, expires_at=None, changed_at=confirmed - DAY)
    await change(sessions, recent, expires_at=None, changed_at=confirmed - DAY / 2)
    await change(sessions, document, expires_at=None, kind="document", client_id="https://app.example/client.json")
    async with sessions() as session:
        person = Person(subject="user_a", permissions=[])
        session.add(person)
        await session.flush()
        session.add(
            AppGrant(person_id=person.id, app_id=allowed, scopes=[], app_version="1", created_at=NOW, changed_at=NOW)
        )
        await session.commit()
    await change(sessions, kept[0], created_at=NOW - 2 * DAY)
    await delete_unused(sessions)
    assert await ids(sessions) == [*kept, disabled, allowed, recent]


async def test_a_clock_that_jumps_ahead_deletes_nothing(sessions: Sessions) -> None:
    new = await register(sessions)
    await delete_unused(sessions, NOW + 365 * DAY)
    assert await ids(sessions) == [new.app.id]


async def test_a_flood_of_registrations_takes_the_place_of_its_own_apps_alone(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dynamic_clients, "MAX_UNUSED", 10)
    used, other, disabled = [
        await register(sessions, address=each) for each in ("192.0.2.1", "203.0.113.1", "192.0.2.1")
    ]
    async with sessions() as session:
        client = await find_client(session, used.app.client_id, NOW)
        assert client is not None
        await session.rollback()
        await session.connection(execution_options=LOCK_FIRST)
        assert await consented_app(session, client, NOW)
        await session.commit()
        await registry.disable_app(session, disabled.app.id, Actor("user_admin", door="api"), NOW)
    for number in range(40):
        newest = await register(sessions, address=f"192.0.2.{number % 7}")
    left = await ids(sessions)
    assert {used.app.id, other.app.id, disabled.app.id, newest.app.id} <= set(left)
    assert len(left) <= 12, "two of them are used or disabled"


async def test_an_administrator_disables_a_dynamic_app(sessions: Sessions) -> None:
    new = await register(sessions)
    async with sessions() as session:
        await registry.disable_app(session, new.app.id, Actor("user_admin", door="api"), NOW)
        client = await find_client(session, new.app.client_id, NOW)
        assert client is not None
        assert not client.enabled
        acts = (await session.execute(text("SELECT action FROM admin_actions"))).scalars().all()
    assert acts == ["app.disable"]


def test_what_is_registered_is_a_part_of_what_was_requested() -> None:
    assert read_metadata({"redirect_uris": ["https://a.example/"], "scope": "x", "contacts": [1]}) == RequestedClient(
        "Unnamed app", ("https://a.example/",), "client_secret_basic"
    )

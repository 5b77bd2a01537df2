"""Clients in the database."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.db.session import Sessions
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.clients import find_client

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
REDIRECT = "https://app.example/cb"


async def stored(sessions: Sessions, **given: Any) -> None:
    fields: dict[str, Any] = {
        "client_id": "app_1",
        "kind": "registered",
        "name": "Scores",
        "host": "app.example",
        "redirect_uris": [REDIRECT],
        "version": "1",
        "created_by": "user_admin",
        "created_at": NOW,
        "changed_at": NOW,
        **given,
    }
    async with sessions() as session:
        session.add(OAuthClient(**fields))
        await session.commit()


async def test_a_client_is_found_by_its_id_alone(sessions: Sessions) -> None:
    digest = hashlib.sha256(b"secret").digest()
    await stored(sessions, secret_digest=digest, former_digest=hashlib.sha256(b"former").digest(), former_until=NOW)
    async with sessions() as session:
        found = await find_client(session, "app_1", NOW)
        assert found is not None
        assert (found.client_id, found.kind, found.name, found.host) == ("app_1", "registered", "Scores", "app.example")
        assert (found.redirect_uris, found.created_at, found.created_at.tzinfo) == ((REDIRECT,), NOW, UTC)
        assert found.accepts_secret("secret", NOW)
        assert not found.accepts_secret("former", NOW)
        assert found.accepts_secret("former", NOW - timedelta(seconds=1))
        for other in ("", "app_2", "APP_1", "app_1 ", "app_%", "app_1\x00", "x" * 5_000, "app_\ud800"):
            assert await find_client(session, other, NOW) is None


async def test_a_former_secret_without_a_time_ended_with_the_last_change(sessions: Sessions) -> None:
    digests = [hashlib.sha256(each).digest() for each in (b"secret", b"former")]
    await stored(sessions, client_id="x" * 500, secret_digest=digests[0], former_digest=digests[1])
    async with sessions() as session:
        found = await find_client(session, "x" * 500, NOW)
    assert found is not None
    assert [found.accepts_secret(each, NOW) for each in ("secret", "former")] == [True, False]


async def test_a_disabled_client_is_found_and_an_expired_one_is_not(sessions: Sessions) -> None:
    await stored(sessions, disabled_at=NOW)
    await stored(sessions, client_id="app_2", kind="dynamic", expires_at=NOW + timedelta(days=1))
    async with sessions() as session:
        disabled = await find_client(session, "app_1", NOW)
        assert disabled is not None
        assert not disabled.enabled
        assert await find_client(session, "app_2", NOW + timedelta(hours=23))
        assert await find_client(session, "app_2", NOW + timedelta(days=1)) is None

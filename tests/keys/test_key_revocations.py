"""Revoking all keys of an owner, in transactions of bounded size, with admin log entries."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select
from sqlmodel import col

from app.audit.actor import Actor
from app.db.session import Sessions
from app.db.tables.history import AdminAction
from app.db.tables.keys import ApiKey
from app.identity.api_keys import mint
from app.keys import api_keys, revocations
from app.keys.capacity import count_keys
from app.keys.revocations import revoke_key, revoke_keys_of

pytestmark = pytest.mark.anyio

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BY = Actor("user_officer", 7, "request-1", door="api")


async def _issue(sessions: Sessions, subject: str, ends: datetime | None = None) -> int:
    async with sessions() as session:
        key = await api_keys.insert(
            session, subject=subject, name="k", new=mint("live"), scopes=[], now=NOW, expires_at=ends
        )
        await session.commit()
        return key.id


async def _revoked(sessions: Sessions) -> list[int]:
    async with sessions() as session:
        query = select(col(ApiKey.id)).where(col(ApiKey.revoked_at).is_not(None)).order_by(col(ApiKey.id))
        return list((await session.scalars(query)).all())


async def _actions(sessions: Sessions) -> list[AdminAction]:
    async with sessions() as session:
        return list((await session.scalars(select(AdminAction).order_by(col(AdminAction.id)))).all())


async def test_exactly_the_keys_of_the_owner_are_revoked(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(revocations, "CHUNK", 2)
    expired = NOW - timedelta(days=1)
    theirs = [await _issue(sessions, "user_a", ends) for ends in (None, expired, None, None, None)]
    other = await _issue(sessions, "user_b")
    async with sessions() as session:
        assert await revoke_key(session, theirs[0], BY, NOW) is not None
    async with sessions() as session:
        ended = [key_id async for key_id in revoke_keys_of(session, "user_a", BY, NOW)]
        assert ended == theirs[1:]
        assert [key_id async for key_id in revoke_keys_of(session, "user_a", BY, NOW)] == []
        assert [key_id async for key_id in revoke_keys_of(session, "user_unknown", BY, NOW)] == []
        assert await revoke_key(session, theirs[0], BY, NOW) is not None
        for unknown in (0, -1, 10**6, 2**63, 10**30):
            assert await revoke_key(session, unknown, BY, NOW) is None
    assert await _revoked(sessions) == theirs
    assert other not in theirs
    actions = await _actions(sessions)
    assert [each.target for each in actions] == [f"key:{key_id}" for key_id in theirs]
    assert {(each.action, each.author, each.key_id, each.request_id) for each in actions} == {
        ("key.revoke", "user_officer", 7, "request-1")
    }
    assert all(each.message.endswith(" of user_a") for each in actions)


async def test_a_key_that_is_being_issued_is_revoked_too(sessions: Sessions) -> None:
    async with sessions() as issuing, sessions() as revoking:
        await count_keys(issuing, "user_a", NOW)
        new = await api_keys.insert(issuing, subject="user_a", name="k", new=mint("live"), scopes=[], now=NOW)

        async def revoke() -> list[int]:
            return [key_id async for key_id in revoke_keys_of(revoking, "user_a", BY, NOW)]

        revocation = asyncio.create_task(revoke())
        await asyncio.sleep(0.2)
        await issuing.commit()
        assert await revocation == [new.id]


async def test_a_key_issued_meanwhile_does_not_prolong_the_revocation(sessions: Sessions) -> None:
    first = await _issue(sessions, "user_a")
    async with sessions() as session:
        ended = []
        async for key_id in revoke_keys_of(session, "user_a", BY, NOW):
            ended.append(key_id)
            await _issue(sessions, "user_a")
    assert ended == [first] == await _revoked(sessions)

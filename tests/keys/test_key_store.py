"""API keys in the database: ownership, expiry, and storage of a digest only."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError
from sqlmodel import col

from app.audit.actor import Actor
from app.db.session import Sessions
from app.db.tables import metadata
from app.db.tables.keys import ApiKey
from app.identity.api_keys import KeyRecord, MintedKey, mint
from app.keys import api_keys
from app.keys.lookups import key_lookup
from app.keys.refusals import NoSuchKey
from app.keys.revocations import revoke_key, revoke_key_of

pytestmark = pytest.mark.anyio

NOW = datetime(2025, 2, 9, 23, 30, 0, 123456, tzinfo=UTC)
OWNER, OTHER = "user_owner", "user_other"
BY = Actor(OWNER, door="api")
BEYOND_AN_ID = [0, -1, 2**63, -(2**63) - 1, 10**40]


async def _issue(sessions: Sessions, subject: str = OWNER, *, new: MintedKey | None = None, **given: Any) -> ApiKey:
    async with sessions() as session:
        key = await api_keys.insert(
            session,
            **{"subject": subject, "name": "A key", "new": new or mint("live"), "scopes": [], "now": NOW, **given},
        )
        await session.commit()
        return key


async def _row(sessions: Sessions, key_id: int) -> ApiKey:
    async with sessions() as session:
        key = await session.get(ApiKey, key_id)
        assert key is not None
        return key


async def test_a_key_is_stored_without_its_plaintext(sessions: Sessions) -> None:
    new = mint("test")
    expires = datetime(2025, 3, 1, 12, 0, tzinfo=timezone(timedelta(hours=-5)))
    issued = await _issue(sessions, new=new, scopes=["catalog:read", "catalog:write"], expires_at=expires)
    for key in (issued, await _row(sessions, issued.id)):
        assert (key.id, key.subject, key.name, key.environment) == (1, OWNER, "A key", "test")
        assert (key.key_prefix, key.digest, key.scopes) == (new.prefix, new.digest, ["catalog:read", "catalog:write"])
        assert (key.created_at, key.last_used_at, key.revoked_at) == (NOW, None, None)
        assert key.expires_at == expires
    kept = await _row(sessions, issued.id)
    assert kept.created_at.tzinfo is UTC
    assert kept.expires_at is not None
    assert kept.expires_at.tzinfo is UTC
    secret = new.plaintext.removeprefix(new.prefix)
    async with sessions() as session:
        tables = [(await session.execute(select(table))).all() for table in metadata.sorted_tables]
    assert new.prefix in repr(tables)
    assert secret not in repr(tables)


async def test_a_time_without_its_offset_is_never_stored(sessions: Sessions) -> None:
    with pytest.raises(Exception, match=r"timezone|offset-naive"):
        await _issue(sessions, now=datetime(2025, 2, 9))  # noqa: DTZ001  # a naive one is meant


async def test_no_two_keys_share_a_digest(sessions: Sessions) -> None:
    new = mint("live")
    await _issue(sessions, new=new)
    with pytest.raises(IntegrityError):
        await _issue(sessions, OTHER, new=new)


async def test_a_subject_sees_only_its_own_keys_newest_first(sessions: Sessions) -> None:
    minutes = [3, 1, 2, 3]
    for minute in minutes:
        await _issue(sessions, now=NOW + timedelta(minutes=minute))
    other = await _issue(sessions, OTHER)
    async with sessions() as session:
        assert [key.id for key in await api_keys.list_for(session, OWNER)] == [4, 1, 3, 2]
        assert [key.id for key in await api_keys.list_for(session, OTHER)] == [other.id]
        assert list(await api_keys.list_for(session, "")) == []
        assert list(await api_keys.list_for(session, "user_owner%")) == []


async def test_the_key_of_another_subject_and_a_missing_one_are_equal(sessions: Sessions) -> None:
    own = await _issue(sessions)
    async with sessions() as session:
        found = await api_keys.get_for(session, OWNER, own.id)
        assert found is not None
        assert found.digest == own.digest
        for subject, key_id in ((OTHER, own.id), (OWNER, 99), *((OWNER, beyond) for beyond in BEYOND_AN_ID)):
            assert await api_keys.get_for(session, subject, key_id) is None
            await session.rollback()
            with pytest.raises(NoSuchKey):
                await revoke_key_of(session, subject, key_id, BY, NOW)
    assert (await _row(sessions, own.id)).revoked_at is None


async def test_a_revocation_keeps_its_first_timestamp(sessions: Sessions) -> None:
    key = await _issue(sessions)
    later = NOW + timedelta(days=1)
    async with sessions() as session:
        held = await api_keys.get_for(session, OWNER, key.id)
        await session.commit()
        first = await revoke_key_of(session, OWNER, key.id, BY, NOW)
        assert first is held  # the row that a request has loaded is refreshed
        assert first.revoked_at == NOW
    async with sessions() as session:
        assert (await revoke_key_of(session, OWNER, key.id, BY, later)).revoked_at == NOW
        by_operator = await revoke_key(session, key.id, BY, later)
        assert by_operator is not None
        assert by_operator.revoked_at == NOW
    assert (await _row(sessions, key.id)).revoked_at == NOW


async def test_concurrent_revocations_agree_on_one_timestamp(sessions: Sessions) -> None:
    key = await _issue(sessions)

    async def revoke(second: int) -> datetime | None:
        async with sessions() as session:
            return (await revoke_key_of(session, OWNER, key.id, BY, NOW + timedelta(seconds=second))).revoked_at

    times = set(await asyncio.gather(*(revoke(second) for second in range(8))))
    assert len(times) == 1
    assert {(await _row(sessions, key.id)).revoked_at} == times


async def test_a_digest_finds_the_record_for_a_verifier(sessions: Sessions) -> None:
    new = mint("test")
    expires = NOW + timedelta(days=30)
    key = await _issue(sessions, new=new, scopes=["catalog:read", "catalog:read"], expires_at=expires)
    find = key_lookup(sessions)
    expected = KeyRecord(key.id, OWNER, "test", frozenset({"catalog:read"}), new.digest, expires, None)
    assert await find(new.digest) == expected
    assert await find(mint("test").digest) is None
    assert await find(b"") is None
    async with sessions() as session:
        await revoke_key_of(session, OWNER, key.id, BY, NOW)
    revoked = await find(new.digest)
    assert revoked is not None
    assert revoked.revoked_at == NOW


async def test_a_use_is_written_once_a_minute_in_one_statement(sessions: Sessions) -> None:
    keys = [(await _issue(sessions)).id for _ in range(3)]
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_more: object) -> None:
        statements.append(statement)

    async def touch(ids: list[int], seconds: float) -> list[datetime | None]:
        async with sessions() as session:
            statements.clear()
            await api_keys.touch(session, ids, NOW + timedelta(seconds=seconds))
            assert [statement.split()[0] for statement in statements if statement[:5] != "BEGIN"] == ["UPDATE"]
            await session.commit()
            return list(await session.scalars(select(col(ApiKey.last_used_at)).order_by(col(ApiKey.id))))

    engine = sessions.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", note)
    at = {seconds: NOW + timedelta(seconds=seconds) for seconds in (0, 30, 60.5)}
    assert await touch(keys[:1], 0) == [at[0], None, None]
    assert await touch(keys[:2], 30) == [at[0], at[30], None]
    assert await touch([*keys[:2], 99], 60) == [at[0], at[30], None]
    assert await touch(keys, 60.5) == [at[60.5], at[30], at[60.5]]

"""Concurrent lookups of many keys in a real database."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import event, text
from structlog.testing import capture_logs

from app.audit.actor import Actor
from app.db.session import Sessions
from app.identity.api_keys import MintedKey, mint
from app.identity.errors import CannotVerify
from app.keys import api_keys
from app.keys.lookups import key_lookup
from app.keys.revocations import revoke_key_of

pytestmark = pytest.mark.anyio


async def issued(sessions: Sessions, count: int) -> list[MintedKey]:
    keys = [mint("live") for _ in range(count)]
    async with sessions() as session:
        for new in keys:
            await api_keys.insert(session, subject="owner", name="k", new=new, scopes=[], now=datetime.now(UTC))
        await session.commit()
    return keys


class Statements:
    """Records SELECT statements and the peak number of connections."""

    def __init__(self, sessions: Sessions) -> None:
        self._engine = sessions.kw["bind"].sync_engine
        self.texts: list[str] = []
        self.connections = 0
        self.digests = 0  # the most in one of them
        event.listen(self._engine, "before_cursor_execute", self._note)

    def _note(
        self, _connection: object, _cursor: object, statement: str, parameters: Sequence[object], *_more: object
    ) -> None:
        self.connections = max(self.connections, self._engine.pool.checkedout())
        if statement.startswith("SELECT"):
            self.texts.append(statement)
            self.digests = max(self.digests, len(parameters))


async def test_a_flood_of_unknown_keys_takes_few_statements_and_each_real_key_is_found(sessions: Sessions) -> None:
    real = await issued(sessions, 5)
    find = key_lookup(sessions)
    seen = Statements(sessions)
    made_up = [mint("live") for _ in range(768)]
    asked = [*made_up[:500], *real, *made_up[500:]]
    found = await asyncio.gather(*(find(key.digest) for key in asked))
    assert [record.digest for record in found if record] == [key.digest for key in real]
    assert [key for key, record in zip(asked, found, strict=True) if record] == real
    assert len(seen.texts) <= 4 + 2
    assert (seen.connections, seen.digests) == (2, 256)


async def test_lookups_of_any_number_of_keys_have_few_statement_texts(sessions: Sessions) -> None:
    """A driver caches a prepared statement for each text."""
    real = await issued(sessions, 40)
    find = key_lookup(sessions)
    seen = Statements(sessions)
    for count in range(1, 41):
        found = await asyncio.gather(*(find(key.digest) for key in real[:count]))
        assert [record and record.digest for record in found] == [key.digest for key in real[:count]]
    assert len(set(seen.texts)) <= 7


async def test_a_lookup_that_begins_after_a_change_sees_it(sessions: Sessions) -> None:
    """Even during another lookup of the same key."""
    (key,) = await issued(sessions, 1)
    find = key_lookup(sessions)
    before = [asyncio.ensure_future(find(key.digest)) for _ in range(20)]
    await asyncio.sleep(0)
    async with sessions() as session:
        row = (await api_keys.list_for(session, "owner"))[0]
        await session.commit()
        await revoke_key_of(session, "owner", row.id, Actor("owner", door="api"), datetime.now(UTC))
    after = await asyncio.gather(*(find(key.digest) for _ in range(20)))
    assert all(record and record.revoked_at for record in after)
    assert all(await asyncio.gather(*before))


async def test_cancelled_requests_do_not_disturb_others(sessions: Sessions) -> None:
    (key,) = await issued(sessions, 1)
    find = key_lookup(sessions)
    tasks = [asyncio.ensure_future(find(key.digest)) for _ in range(30)]
    await asyncio.sleep(0)
    for task in tasks[::2]:
        task.cancel()
    found = await asyncio.gather(*tasks[1::2])
    assert all(record and record.digest == key.digest for record in found)
    assert await find(key.digest)


async def test_all_waiting_requests_fail_if_the_database_does_not_answer(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(text("ALTER TABLE api_keys RENAME TO moved"))
        await session.commit()
    find = key_lookup(sessions)
    with capture_logs() as lines:
        found = await asyncio.gather(*(find(mint("live").digest) for _ in range(100)), return_exceptions=True)
    assert {type(each) for each in found} == {CannotVerify}
    assert 1 <= len(lines) <= 1 + 2
    async with sessions() as session:
        await session.execute(text("ALTER TABLE moved RENAME TO api_keys"))
        await session.commit()
    assert await find(mint("live").digest) is None

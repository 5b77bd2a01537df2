"""Notifications about API keys: a change by any statement is noticed, and unchanged keys are not looked up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from app.db import change_feed
from app.db.change_feed import KEY_FEED, follow_changes, prune_changes
from app.db.engine import LOCK_FIRST, open_engine
from app.db.session import Sessions, sessions_of
from app.identity.api_keys import KeyRecord, MintedKey, mint
from app.identity.errors import AuthenticationFault, Unauthenticated
from app.identity.key_verifier import ApiKeyVerifier
from app.keys import api_keys
from app.keys.lookups import key_lookup

pytestmark = pytest.mark.anyio

EVERY = 0.02


class CountedSessions(async_sessionmaker[AsyncSession]):
    """Sessions of a poll, which are counted."""

    opened = 0

    def __call__(self, **options: Any) -> AsyncSession:
        self.opened += 1
        return super().__call__(**options)


class Followed:
    """A verifier with a bound of a minute that polls changes every 20 ms and counts its lookups."""

    def __init__(self, sessions: Sessions) -> None:
        self.sessions = sessions
        self.polls = CountedSessions(**sessions.kw)
        self.asked = 0
        self.now = 0.0
        look_up = key_lookup(sessions)

        async def find(digest: bytes) -> KeyRecord | None:
            self.asked += 1
            return await look_up(digest)

        self.verifier = ApiKeyVerifier(
            find, environments=["live"], cache_seconds=60, on_accepted=lambda _: None, clock=lambda: self.now
        )

    async def issued(self) -> MintedKey:
        new = mint("live")
        async with self.sessions() as session:
            await api_keys.insert(
                session, subject="user_owner", name="A key", new=new, scopes=[], now=datetime.now(UTC)
            )
            await session.commit()
        return new

    async def run(self, statement: str) -> None:
        async with self.sessions() as session:
            await session.execute(text(statement))
            await session.commit()

    async def wait_for_changes(self) -> None:
        """Wait until a poll that begins from now on has ended, if there is one: without cached keys there is none.

        Each has one session, and three if it prunes.
        """
        opened = self.polls.opened
        async with asyncio.timeout(10):
            while len(self.verifier.cache) and self.polls.opened < opened + 4:
                await asyncio.sleep(EVERY)

    async def fault_of(self, key: MintedKey) -> AuthenticationFault | None:
        try:
            await self.verifier.verify(key.plaintext)
        except Unauthenticated as refused:
            return refused.fault
        return None


@pytest.fixture
async def followed(sessions: Sessions) -> AsyncIterator[Followed]:
    followed, stop = Followed(sessions), asyncio.Event()
    await followed.verifier.verify((await followed.issued()).plaintext)  # so that there are changes to poll
    task = asyncio.create_task(
        follow_changes(
            followed.polls, KEY_FEED, followed.verifier.cache, stop, every_seconds=EVERY, clock=lambda: followed.now
        )
    )
    await followed.wait_for_changes()
    yield followed
    stop.set()
    await task


@pytest.mark.parametrize(
    ("statement", "fault"),
    [
        ("UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00'", AuthenticationFault.KEY_REVOKED),
        ("UPDATE api_keys SET expires_at = '2026-01-01 00:00:00'", AuthenticationFault.KEY_EXPIRED),
        ("UPDATE api_keys SET environment = 'test'", AuthenticationFault.KEY_UNKNOWN),
        ("DELETE FROM api_keys", AuthenticationFault.KEY_UNKNOWN),
    ],
    ids=["revoked", "expired", "moved", "deleted"],
)
async def test_a_change_by_any_statement_is_noticed_long_before_the_bound(
    followed: Followed, statement: str, fault: AuthenticationFault
) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    await followed.run(statement)
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is fault


async def test_an_unchanged_key_is_looked_up_once_while_changes_are_reported(followed: Followed) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    asked = followed.asked
    for _ in range(5):
        followed.now += 50  # of a bound of 60
        await followed.wait_for_changes()
        assert await followed.fault_of(key) is None
    assert followed.asked == asked
    await followed.run("UPDATE api_keys SET last_used_at = '2026-01-01 00:00:00'")
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    assert followed.asked == asked  # a use is no change
    followed.now += 3600
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    assert followed.asked == asked + 1  # it is refreshed at intervals


async def test_without_reports_a_key_is_looked_up_again_within_the_bound(sessions: Sessions) -> None:
    followed = Followed(sessions)
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    followed.now = 59.9
    assert await followed.fault_of(key) is None
    assert followed.asked == 1
    followed.now = 60.1
    assert await followed.fault_of(key) is None
    assert followed.asked == 2


@pytest.mark.parametrize(
    "lost", ["DELETE FROM key_changes", "UPDATE key_changes SET id = id + 10"], ids=["gone", "moved"]
)
async def test_every_key_is_looked_up_if_the_last_change_is_missing(followed: Followed, lost: str) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    await followed.run("UPDATE api_keys SET scopes = '[]' WHERE id = 1")
    await followed.wait_for_changes()
    asked = followed.asked
    assert await followed.fault_of(key) is None
    assert followed.asked == asked
    await followed.run(lost)
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    assert followed.asked == asked + 1


async def test_a_reused_id_of_a_lost_change_is_another_change(followed: Followed, kind: str) -> None:
    """As after a restore of the database during a pause of the process."""
    key = await followed.issued()
    await followed.run("UPDATE api_keys SET scopes = '[]' WHERE id = 1")
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    sqlite = "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'key_changes'"
    postgresql = "SELECT setval(pg_get_serial_sequence('key_changes', 'id'), 1, false)"
    async with followed.sessions() as session:
        await session.connection(execution_options=LOCK_FIRST)
        await session.execute(text("DELETE FROM key_changes"))
        await session.execute(text(sqlite if kind == "sqlite" else postgresql))
        await session.execute(text("UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00' WHERE id = 2"))
        assert (await session.execute(text("SELECT id, key_id FROM key_changes"))).all() == [(1, 2)]
        await session.commit()
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is AuthenticationFault.KEY_REVOKED


async def test_cached_keys_expire_if_the_database_reports_no_changes(followed: Followed) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    await followed.run("ALTER TABLE key_changes RENAME TO elsewhere")
    asked = followed.asked
    followed.now += 61
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    assert followed.asked == asked + 1
    await followed.run("ALTER TABLE elsewhere RENAME TO key_changes")
    await followed.wait_for_changes()
    followed.now += 59
    assert await followed.fault_of(key) is None
    assert followed.asked == asked + 1  # changes are reported again


async def test_more_changes_than_one_read_returns_are_all_noticed(
    followed: Followed, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(change_feed, "_BATCH_SIZE", 3)
    keys = [await followed.issued() for _ in range(6)]
    assert [await followed.fault_of(key) for key in keys] == [None] * 6
    await followed.run("UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00'")
    await followed.wait_for_changes()
    assert [await followed.fault_of(key) for key in keys] == [AuthenticationFault.KEY_REVOKED] * 6


async def test_changes_become_visible_in_the_order_of_their_ids(sessions: Sessions, url: str) -> None:
    followed, engine = Followed(sessions), open_engine(url)
    for _ in range(2):
        await followed.issued()
    slow, quick = sessions_of(engine)(), sessions_of(engine)()
    revoke = "UPDATE api_keys SET revoked_at = '2026-01-01 00:00:00' WHERE id = {}"
    await slow.connection(execution_options=LOCK_FIRST)
    await slow.execute(text(revoke.format(1)))

    async def second() -> None:
        await quick.connection(execution_options=LOCK_FIRST)
        await quick.execute(text(revoke.format(2)))
        await quick.commit()

    other = asyncio.create_task(second())
    await asyncio.sleep(0.2)
    async with sessions() as session:
        assert (await session.execute(text("SELECT id FROM key_changes"))).all() == []
    await slow.commit()
    await other
    async with sessions() as session:
        rows = (await session.execute(text("SELECT id, key_id FROM key_changes ORDER BY id"))).all()
    assert [tuple(row) for row in rows] == [(1, 1), (2, 2)]
    await slow.close()
    await quick.close()
    await engine.dispose()


async def test_old_changes_are_deleted_except_the_newest(followed: Followed) -> None:
    for _ in range(3):
        await followed.run("UPDATE api_keys SET scopes = '[]'")
    await prune_changes(followed.sessions, KEY_FEED, 4_000_000_000)
    async with followed.sessions() as session:
        assert [tuple(row) for row in (await session.execute(text("SELECT id FROM key_changes"))).all()] == [(3,)]


async def test_changes_are_not_polled_without_cached_keys(sessions: Sessions) -> None:
    followed, stop = Followed(sessions), asyncio.Event()
    statements: list[str] = []
    async with sessions() as session:
        engine = session.get_bind()
    event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
    task = asyncio.create_task(follow_changes(sessions, KEY_FEED, followed.verifier.cache, stop, every_seconds=EVERY))
    await asyncio.sleep(5 * EVERY)
    assert statements == []
    stop.set()
    await task


async def test_truncating_the_keys_is_noticed(followed: Followed) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    with pytest.raises(DBAPIError, match=r"cannot be truncated|syntax error"):  # SQLite has no such statement
        await followed.run("TRUNCATE api_keys")
    assert await followed.fault_of(key) is None


async def test_a_change_of_token_grants_is_noticed(followed: Followed) -> None:
    key = await followed.issued()
    assert await followed.fault_of(key) is None
    asked = followed.asked
    await followed.run("UPDATE api_keys SET token_grants = '[]'")
    await followed.wait_for_changes()
    assert await followed.fault_of(key) is None
    assert followed.asked == asked + 1

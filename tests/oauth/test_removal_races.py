"""An app is removed while it uses what users gave it: neither waits for the other, and the removal succeeds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.disk import carry_out
from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from app.oauth import registry
from tests.oauth.flows import BY, NOW, Flow, new_flow
from tests.support.databases import Postgres

pytestmark = pytest.mark.anyio
# As the token endpoint and the revocation endpoint lock them.
CODES, TOKENS = (
    text(f"SELECT id FROM {table} WHERE {reference} = (SELECT max({reference}) FROM {table}) FOR UPDATE")
    for table, reference in (("oauth_codes", "grant_id"), ("oauth_access_tokens", "family_id"))
)
NEW_FAMILY = text(
    "INSERT INTO oauth_families (grant_id, selector, scopes, resource, generation, siblings, rotated_at, created_at,"
    " refreshed_at) SELECT max(id), 'x', '[]', '', 0, 0, now(), now(), now() FROM oauth_grants"
)
REVOKE = text(
    "UPDATE oauth_access_tokens SET revoked_at = now()"
    " WHERE family_id = (SELECT max(family_id) FROM oauth_access_tokens)"
)


@pytest.fixture(scope="module")
def database(postgres: Postgres) -> str:
    """On SQLite one transaction writes at a time."""
    return postgres.new(prepared=True)


@pytest.fixture
async def sessions(database: str) -> AsyncIterator[Sessions]:
    engine = open_engine(database)
    yield sessions_of(engine)
    await engine.dispose()


async def while_waiting(sessions: Sessions, act: Awaitable[object], go_on: Callable[[], Awaitable[object]]) -> None:
    """Begin an act, and go on with what it waits for."""
    acting = asyncio.ensure_future(act)
    async with sessions() as session:
        while not await session.scalar(text("SELECT count(*) FROM pg_locks WHERE NOT granted")):
            await session.rollback()
            assert not acting.done()
    await go_on()
    await acting


@pytest.mark.parametrize(("locked", "change"), [(CODES, NEW_FAMILY), (TOKENS, REVOKE)], ids=["redeem", "revoke"])
async def test_an_app_is_removed_while_it_uses_its_tokens(
    database: str, sessions: Sessions, locked: TextClause, change: TextClause
) -> None:
    flow: Flow = await new_flow(sessions, database)
    for user in ("user_ann", "user_bob"):
        await flow.redeem(await flow.consent(user))

    async def remove() -> None:
        async with sessions() as session:
            await registry.remove_app(session, flow.app.id, BY, NOW)

    async with sessions() as using:
        await using.execute(locked)

        async def go_on() -> None:
            await using.execute(change)
            await using.commit()

        await while_waiting(sessions, remove(), go_on)
    async with sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM oauth_families")) == 0


async def test_an_act_that_ends_access_is_retried_after_a_deadlock(database: str, sessions: Sessions) -> None:
    attempts = 0

    async def lock(session: AsyncSession, number: int) -> None:
        await session.execute(text(f"SELECT pg_advisory_xact_lock({number})"))

    async def act() -> None:
        async with sessions() as session:

            async def work() -> None:
                nonlocal attempts
                attempts += 1
                await session.execute(text("SET LOCAL deadlock_timeout = '200ms'"))
                await lock(session, 2)
                await lock(session, 1)
                await session.commit()

            await carry_out(session, work)

    async with sessions() as other:
        await other.execute(text("SET LOCAL deadlock_timeout = '60s'"))
        await lock(other, 1)

        async def go_on() -> None:
            await lock(other, 2)
            await other.commit()

        await while_waiting(sessions, act(), go_on)
    assert attempts == 2

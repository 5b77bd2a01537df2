"""The pool of an engine: its turns, and the private names of SQLAlchemy's pools that it relies on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from app.db.availability import is_away
from app.db.connection_turns import Caller, caller_of_request
from app.db.engine import open_engine
from app.db.pool_private import FairPool

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    url = f"sqlite+aiosqlite:///{tmp_path / 'a.db'}"
    opened = create_async_engine(url, poolclass=FairPool, pool_size=3, max_overflow=1, pool_timeout=0.1)
    yield opened
    await opened.dispose()


def checked_out(engine: AsyncEngine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()


async def connected(engine: AsyncEngine, caller: Caller | None) -> AsyncConnection:
    """A connection that a request of a caller takes, in its own context."""

    async def connect() -> AsyncConnection:
        if caller is not None:
            caller_of_request.set(lambda: caller)
        return await engine.connect()

    return await asyncio.create_task(connect())


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"], indirect=True)
async def test_the_engine_of_each_database_divides_its_connections_among_callers(url: str) -> None:
    opened = open_engine(url)
    assert isinstance(opened.pool, FairPool)
    await opened.dispose()  # as when a replica renews its connections
    assert isinstance(opened.pool, FairPool)


async def test_a_caller_leaves_connections_to_others(engine: AsyncEngine) -> None:
    ann, bob = ("subject", "ann"), ("subject", "bob")
    held = [await connected(engine, ann), await connected(engine, ann)]
    with pytest.raises(PoolExhausted) as refused:
        await connected(engine, ann)
    assert is_away(refused.value)
    held += [await connected(engine, bob), await connected(engine, None)]
    assert checked_out(engine) == 4
    with pytest.raises(PoolExhausted):
        await connected(engine, None)
    for connection in held:
        await connection.close()
    assert checked_out(engine) == 0


async def test_each_connection_gives_its_turn_back_however_it_ends(engine: AsyncEngine) -> None:
    for _ in range(5):
        closed, invalid = await connected(engine, None), await connected(engine, ("subject", "ann"))
        await closed.execute(text("SELECT 1"))
        await closed.close()
        await invalid.invalidate()
        await invalid.close()
    four = [await connected(engine, None) for _ in range(4)]
    for connection in four:
        await connection.close()


async def test_a_failed_connect_gives_its_turn_back(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    url = f"sqlite+aiosqlite:///{missing / 'a.db'}"
    opened = create_async_engine(url, poolclass=FairPool, pool_size=1, max_overflow=0, pool_timeout=0.1)
    for _ in range(3):
        with pytest.raises(Exception, match="unable to open"):
            await connected(opened, ("subject", "ann"))
    missing.mkdir()
    await (await connected(opened, ("subject", "ann"))).close()
    await opened.dispose()

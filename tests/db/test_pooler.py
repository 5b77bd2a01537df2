"""State of database sessions: none remains behind a pooler, which shares sessions."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db import heartbeat_connection as lines
from app.db.availability import is_away
from app.db.engine import open_engine
from app.db.heartbeat_connection import HeartbeatExpired, open_heartbeat_connection
from app.db.session import Sessions, sessions_of
from tests.support.databases import Postgres
from tests.support.pooler import Pooler

pytestmark = pytest.mark.anyio

TIMEOUT = "SELECT current_setting('idle_in_transaction_session_timeout')"
PATH = "SELECT current_setting('search_path')"
PREPARED = "SELECT count(*) FROM pg_prepared_statements"


@pytest.fixture(scope="module")
def direct(postgres: Postgres) -> str:
    return postgres.new(prepared=True)


@pytest.fixture(scope="module")
def pooler(direct: str) -> Iterator[Pooler]:
    with Pooler(direct, connections=1) as started:
        yield started


@pytest.fixture
async def engine() -> AsyncIterator[list[AsyncEngine]]:
    opened: list[AsyncEngine] = []
    yield opened
    for each in opened:
        await each.dispose()


def sessions_on(url: str, engine: list[AsyncEngine], timeout_seconds: float | None = 7) -> Sessions:
    engine.append(open_engine(url, timeout_seconds=timeout_seconds))
    return sessions_of(engine[-1])


async def scalar(sessions: Sessions, statement: str) -> object:
    async with sessions() as session:
        return await session.scalar(text(statement))


async def test_nothing_remains_in_a_session_behind_a_pooler(pooler: Pooler, engine: list[AsyncEngine]) -> None:
    sessions = sessions_on(pooler.url + "?options=-csearch_path%3Dpg_catalog", engine)
    assert await scalar(sessions, TIMEOUT) == "7s"
    assert await scalar(sessions, PATH) == "pg_catalog"
    assert await scalar(sessions, PREPARED) == 0
    other = sessions_on(pooler.url, engine, timeout_seconds=None)
    assert await scalar(other, TIMEOUT) == "0"
    assert await scalar(other, PATH) == '"$user", public'
    assert await scalar(sessions, PATH) == "pg_catalog"


async def test_a_direct_connection_keeps_its_statements_and_settings(direct: str, engine: list[AsyncEngine]) -> None:
    sessions = sessions_on(direct + "&options=-csearch_path%3Dpg_catalog", engine)
    assert await scalar(sessions, TIMEOUT) == "7s"
    assert await scalar(sessions, PATH) == "pg_catalog"
    assert await scalar(sessions, PREPARED) != 0


async def test_an_unrecognised_pooler_is_reported(direct: str, engine: list[AsyncEngine]) -> None:
    sessions = sessions_on(direct, engine)
    assert await scalar(sessions, PREPARED) != 0
    async with sessions() as session:
        await session.execute(text("DEALLOCATE ALL"))  # as in the session of another client
    with pytest.raises(DBAPIError) as gone:
        await scalar(sessions, PREPARED)
    assert is_away(gone.value)
    assert await scalar(sessions, PREPARED) == 0
    assert await scalar(sessions, TIMEOUT) == "7s"


@pytest.mark.parametrize("query", ["&pgbouncer=true", "&statement_cache_size=0", "&prepared_statement_cache_size=0"])
async def test_an_address_can_disable_prepared_statements(query: str, direct: str, engine: list[AsyncEngine]) -> None:
    sessions = sessions_on(direct + query, engine)
    assert await scalar(sessions, TIMEOUT) == "7s"
    assert await scalar(sessions, PREPARED) == 0


async def test_a_listening_connection_is_reopened(direct: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "_KEPT_SECONDS", 0.0)
    with pytest.raises(HeartbeatExpired):
        async with open_heartbeat_connection(direct, lambda _: None, lambda: None) as line:
            await line.head()

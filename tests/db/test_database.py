"""The engine: URLs, private files, and serialized transactions."""

from __future__ import annotations

import asyncio
import os
import stat
from pathlib import Path

import pytest
from litestar import Litestar
from litestar.testing import RequestFactory
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.address import address_of
from app.db.engine import LOCK_FIRST, open_engine
from app.db.errors import UnusableDatabase
from app.db.migrate import upgrade
from app.db.session import Sessions
from app.http.wire.session import provide_session
from tests.support.services import state_of

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize("url", ["sqlite:///a.db", "sqlite:////var/lib/a.db", "sqlite+aiosqlite:///a.db"])
def test_a_sqlite_url_gets_the_asynchronous_driver(url: str) -> None:
    assert str(address_of(url)) == f"sqlite+aiosqlite://{url.partition('://')[2]}"


@pytest.mark.parametrize(
    "url",
    [
        "",
        "hunter2",
        "mysql://u:hunter2@h/d",
        "postgresql+psycopg://u:hunter2@h/d",
        "sqlite://",
        "sqlite:///:memory:",
        "postgresql://u:hunter2@h:port/d",
        "file:x",
    ],
)
def test_a_url_that_cannot_be_used_is_refused_without_showing_it(url: str) -> None:
    with pytest.raises(UnusableDatabase) as refused:
        open_engine(url)
    assert "hunter2" not in str(refused.value)
    assert refused.value.__cause__ is None


async def test_the_file_and_its_directory_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        url = f"sqlite:///{tmp_path / 'new' / 'authz.db'}"
        await upgrade(url)
        engine = open_engine(url)
        async with engine.connect() as connection:
            await connection.execute(text("UPDATE alembic_version SET version_num = version_num"))
            modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "new").iterdir()}
        await engine.dispose()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert modes == {"authz.db": 0o600, "authz.db-wal": 0o600, "authz.db-shm": 0o600}


async def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match=str(tmp_path)):
        open_engine(f"sqlite:///{tmp_path}")
    (tmp_path / "file").touch()
    with pytest.raises(UnusableDatabase, match=r"Not a directory|File exists"):
        open_engine(f"sqlite:///{tmp_path / 'file' / 'authz.db'}")


async def _leagues(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list((await session.scalars(text("SELECT abbreviation FROM leagues ORDER BY id"))).all())


async def _insert(session: AsyncSession, abbreviation: str) -> None:
    statement = text("INSERT INTO leagues (name, abbreviation, country) VALUES ('A league', :abbreviation, 'US')")
    await session.execute(statement, {"abbreviation": abbreviation})


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_sqlite_is_set_up_to_be_safe_on_every_connection(sessions: Sessions) -> None:
    async with sessions() as one, sessions() as two:
        for session in (one, two):
            settings = {
                name: (await session.execute(text(f"PRAGMA {name}"))).scalar()
                for name in ("journal_mode", "busy_timeout", "foreign_keys", "synchronous")
            }
            assert settings == {"journal_mode": "wal", "busy_timeout": 5000, "foreign_keys": 1, "synchronous": 2}
        with pytest.raises(IntegrityError, match="FOREIGN KEY"):
            await one.execute(text("INSERT INTO franchises (league_id, name) VALUES (99, 'Orphans')"))


async def test_uncommitted_changes_of_a_handler_are_rolled_back(sessions: Sessions) -> None:
    request = RequestFactory(Litestar(state=state_of(sessions=sessions))).get()
    kept, dropped = provide_session(request), provide_session(request)
    session = await anext(kept)
    await _insert(session, "KEPT")
    await session.commit()
    with pytest.raises(StopAsyncIteration):
        await anext(kept)
    await _insert(await anext(dropped), "DROPPED")
    with pytest.raises(StopAsyncIteration):
        await anext(dropped)
    assert await _leagues(sessions) == ["KEPT"]


async def test_schema_changes_are_rolled_back_too(sessions: Sessions) -> None:
    async with sessions() as session:
        await session.execute(text("CREATE TABLE passing (id INTEGER)"))
        await session.rollback()
        tables = await (await session.connection()).run_sync(lambda connection: inspect(connection).get_table_names())
    assert "leagues" in tables
    assert "passing" not in tables


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_writers_wait_for_each_other_and_readers_do_not(sessions: Sessions) -> None:
    async with sessions() as first:
        await first.connection(execution_options=LOCK_FIRST)
        await _insert(first, "FIRST")

        async def second() -> None:
            async with sessions() as session:
                await _insert(session, "SECOND")
                await session.commit()

        waiting = asyncio.create_task(second())
        assert await _leagues(sessions) == []
        await asyncio.sleep(0.1)
        assert not waiting.done()
        await first.commit()
        await waiting
    assert await _leagues(sessions) == ["FIRST", "SECOND"]


async def test_a_transaction_that_reads_and_then_writes_does_not_fail(sessions: Sessions) -> None:
    async def read_then_write(number: int) -> None:
        async with sessions() as session:
            await session.connection(execution_options=LOCK_FIRST)
            await session.execute(text("SELECT count(*) FROM leagues"))
            await asyncio.sleep(0)
            await _insert(session, f"L{number}")
            await session.commit()

    await asyncio.gather(*(read_then_write(number) for number in range(10)))
    assert sorted(await _leagues(sessions)) == sorted(f"L{number}" for number in range(10))

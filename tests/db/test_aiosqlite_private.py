"""The driver of SQLite: trips to the thread of a connection, transactions, and the private names that it relies on."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiosqlite
import pytest
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError, OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession

from app.db.aiosqlite_private import SqliteConnection, open_connection
from app.db.engine import LOCK_FIRST, WITHOUT_TRANSACTION, open_engine

pytestmark = pytest.mark.anyio
# About a tenth of a second.
_SLOW = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 500000) SELECT max(x) FROM n"


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    opened = open_engine(f"sqlite:///{tmp_path / 'authz.db'}", timeout_seconds=2)
    async with opened.begin() as connection:
        await connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")
        await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('a'), ('b'), ('c')")
    yield opened
    await opened.dispose()


async def driver_of(connection: AsyncConnection) -> SqliteConnection:
    found = (await connection.get_raw_connection()).driver_connection
    assert isinstance(found, SqliteConnection)
    return found


async def names(connection: AsyncConnection) -> list[str]:
    return list((await connection.scalars(text("SELECT name FROM t ORDER BY id"))).all())


def counted(driver: SqliteConnection, monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The trips to the thread of a connection from now on."""
    trips: list[object] = []
    send = driver._execute

    async def counting(function: Callable[..., Any], *arguments: Any) -> Any:
        trips.append(function)
        return await send(function, *arguments)  # type: ignore[no-untyped-call]  # it has no types

    monkeypatch.setattr(driver, "_execute", counting)
    return trips


@pytest.mark.parametrize("ending", ["rollback", "commit"])
async def test_a_query_with_its_transaction_takes_two_trips(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    async with engine.connect() as connection:
        trips = counted(await driver_of(connection), monkeypatch)
        assert await names(connection) == ["a", "b", "c"]
        assert len(trips) == 1
        await getattr(connection, ending)()
        assert len(trips) == 2
        await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('d')")
        await connection.commit()
        assert len(trips) == 4


async def test_a_session_that_only_reads_takes_two_trips(engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    async with engine.connect() as connection:
        trips = counted(await driver_of(connection), monkeypatch)
    async with AsyncSession(engine) as session:
        assert (await session.scalars(text("SELECT name FROM t ORDER BY id"))).all() == ["a", "b", "c"]
    assert len(trips) == 2, "the pool rolls back what the session has rolled back"


@pytest.mark.parametrize("ending", ["rollback", "commit"])
async def test_a_transaction_without_a_statement_takes_none(
    engine: AsyncEngine, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    async with engine.connect() as connection:
        trips = counted(await driver_of(connection), monkeypatch)
        for _ in range(3):
            await connection.begin()
            await getattr(connection, ending)()
        assert trips == []
        assert await names(connection) == ["a", "b", "c"]


async def test_a_transaction_reads_one_state(engine: AsyncEngine) -> None:
    async with engine.connect() as reading, engine.connect() as writing:
        assert await names(reading) == ["a", "b", "c"]
        await writing.exec_driver_sql("DELETE FROM t WHERE name = 'b'")
        await writing.commit()
        assert await names(reading) == ["a", "b", "c"]
        await reading.rollback()
        assert await names(reading) == ["a", "c"]


async def test_changes_are_rolled_back_and_committed_as_a_whole(engine: AsyncEngine) -> None:
    async with engine.connect() as connection, engine.connect() as other:
        await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('d')")
        with pytest.raises(IntegrityError, match="UNIQUE"):
            await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('a')")
        assert await names(connection) == ["a", "b", "c", "d"]
        assert await names(other) == ["a", "b", "c"]
        await connection.rollback()
        assert await names(connection) == ["a", "b", "c"]
        await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('e')")
        await connection.commit()
        await other.rollback()
        assert await names(other) == ["a", "b", "c", "e"]


async def test_the_lock_is_taken_when_a_transaction_that_locks_first_begins(engine: AsyncEngine) -> None:
    async with engine.connect() as plain, engine.connect() as other:
        locking = await plain.execution_options(**LOCK_FIRST)
        await locking.begin()
        await other.exec_driver_sql("PRAGMA busy_timeout = 1")
        await other.rollback()
        with pytest.raises(OperationalError, match="locked"):
            await other.exec_driver_sql("DELETE FROM t")
        await other.rollback()
        await locking.rollback()
        await other.exec_driver_sql("DELETE FROM t")
        await other.rollback()


async def test_without_a_transaction_each_statement_is_one(engine: AsyncEngine) -> None:
    async with engine.connect() as plain, engine.connect() as other:
        connection = await plain.execution_options(**WITHOUT_TRANSACTION)
        await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('d')")
        assert await names(other) == ["a", "b", "c", "d"]


@pytest.mark.parametrize("locks", [False, True])
async def test_a_cancelled_statement_leaves_no_transaction_behind(engine: AsyncEngine, locks: bool) -> None:
    async def work() -> None:
        async with engine.connect() as plain:
            connection = await plain.execution_options(**(LOCK_FIRST if locks else {}))
            await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('d')")
            await connection.exec_driver_sql(_SLOW)
            raise AssertionError("it was not cancelled")

    async def first() -> None:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(_SLOW)  # the transaction is still to begin

    for function in (work, first):
        task = asyncio.create_task(function())
        await asyncio.sleep(0.02)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    for _ in range(6):  # more than the pool has at first
        async with engine.begin() as connection:
            assert await names(connection) == ["a", "b", "c"]
            await connection.exec_driver_sql("UPDATE t SET name = name")


async def test_results_have_what_sqlalchemy_reads_of_a_cursor(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        created = await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('d') RETURNING id, name")
        assert created.keys() == ["id", "name"]
        assert [tuple(row) for row in created] == [(4, "d")]
        inserted = await connection.exec_driver_sql("INSERT INTO t (name) VALUES ('e')")
        assert (inserted.rowcount, inserted.lastrowid, inserted.returns_rows) == (1, 5, False)
        changed = await connection.execute(text("UPDATE t SET name = name || :end WHERE id > 2"), {"end": "!"})
        assert changed.rowcount == 3
        many = await connection.execute(text("INSERT INTO t (name) VALUES (:name)"), [{"name": "f"}, {"name": "g"}])
        assert many.rowcount == 2
        found = await connection.exec_driver_sql("SELECT id, name FROM t ORDER BY id")
        assert [tuple(row) for row in found.fetchmany(2)] == [(1, "a"), (2, "b")]
        assert [tuple(row) for row in found] == [(3, "c!"), (4, "d!"), (5, "e!"), (6, "f"), (7, "g")]
        assert (await connection.exec_driver_sql("SELECT 1 WHERE 0")).all() == []


async def test_a_closed_connection_is_replaced(engine: AsyncEngine) -> None:
    async with engine.connect() as connection:
        await (await driver_of(connection)).close()
        with pytest.raises(OperationalError, match="Connection closed"):
            await names(connection)
    async with engine.connect() as connection:
        assert await names(connection) == ["a", "b", "c"]


def test_a_connection_that_was_not_closed_does_not_keep_the_process(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys\n"
        "from app.db.aiosqlite_private import open_connection\n"
        "async def connect():\n"
        "    return await open_connection(sys.argv[1])\n"
        "kept = asyncio.run(connect())\n"
        "print('connected', flush=True)\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", program, str(tmp_path / "a.db")]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    assert ended.stdout == "connected\n"


async def test_the_private_names_are_there(tmp_path: Path) -> None:
    """SQLAlchemy and this driver rely on them."""
    async with open_connection(str(tmp_path / "a.db"), check_same_thread=False) as connection:
        assert isinstance(connection, aiosqlite.Connection)
        assert isinstance(connection._conn, sqlite3.Connection)
        assert connection._thread.daemon
        assert await connection._execute(lambda number: number + 1, 1) == 2  # type: ignore[no-untyped-call]  # it has no types

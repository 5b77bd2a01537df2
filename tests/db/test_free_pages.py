"""The file of a SQLite database gives its free pages back to the disk."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.audit.batch import Batch
from app.audit.log import BatchNotStored
from app.audit.retention import run_retention
from app.db.backup import backup
from app.db.decision_times import DAY
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.errors import UnusableDatabase
from app.db.free_pages import STEP_PAGES, rewrite
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.session import sessions_of
from tests.cli.command import command
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN
from tests.support.databases import Postgres

pytestmark = pytest.mark.anyio

NOW = time.time_ns() // 1_000


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "new.db"


@pytest.fixture
def other(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection of another program to the prepared database."""
    asyncio.run(upgrade(f"sqlite:///{file}"))
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        yield connection


def _number(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


async def _fill(url: str) -> None:
    engine = open_engine(url)
    old = [varied(PLAIN, at=NOW - 40 * DAY + n, request_id=f"{n:040}") for n in range(20_000)]
    await DecisionWriter(sessions_of(engine)).write(Batch.of(old))
    await DecisionWriter(sessions_of(engine)).write(Batch.of([varied(PLAIN, at=NOW - 2 * DAY)]))
    await engine.dispose()


async def test_the_file_shrinks_while_a_writer_writes(other: sqlite3.Connection, file: Path) -> None:
    url = f"sqlite:///{file}"
    await _fill(url)
    _ = other.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    before = file.stat().st_size
    assert before > 1_500_000
    engine = open_engine(url)
    sessions, stop = sessions_of(engine), asyncio.Event()
    writer, written = DecisionWriter(sessions), 0
    keeping = asyncio.create_task(run_retention(30, stop, OldDecisions(sessions), every_seconds=0.05))
    async with asyncio.timeout(20):
        while file.stat().st_size > before / 2 or _number(other, "freelist_count") > 64:
            await writer.write(Batch.of([varied(PLAIN, at=NOW)] * 5))
            written += 5
            await asyncio.sleep(0.005)
    stop.set()
    await keeping
    await engine.dispose()
    assert other.execute("SELECT count(*) FROM decision_rows").fetchone() == (written + 1,)
    assert other.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


async def test_free_pages_wait_for_a_lock_of_another_program(other: sqlite3.Connection, file: Path) -> None:
    url = f"sqlite:///{file}"
    await _fill(url)
    other.execute("DELETE FROM decision_rows")
    free = _number(other, "freelist_count")
    engine = open_engine(url, timeout_seconds=0.05)
    old = OldDecisions(sessions_of(engine))
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(BatchNotStored, match="locked"):
        await old.release_space()
    other.execute("ROLLBACK")
    assert await old.release_space()
    assert free - _number(other, "freelist_count") == STEP_PAGES
    await engine.dispose()


async def test_a_database_of_an_older_version_is_rewritten_once(file: Path) -> None:
    """An older version creates its files without incremental vacuum."""
    with closing(sqlite3.connect(file)) as older:
        older.execute("CREATE TABLE first (id INTEGER)")
    url = f"sqlite:///{file}"
    await upgrade(url)
    await _fill(url)
    with closing(sqlite3.connect(file)) as other:
        other.execute("DELETE FROM decision_rows WHERE id > 10")
        other.commit()
        free = _number(other, "freelist_count")
        assert free > 300
        engine = open_engine(url)
        assert not await OldDecisions(sessions_of(engine)).release_space()
        await engine.dispose()
        assert _number(other, "freelist_count") == free
    done = await asyncio.to_thread(command, "db", "vacuum", env={"AUTHZ_DATABASE_URL": url})
    assert done.returncode == 0, done.stderr
    size = file.stat().st_size
    assert done.stdout.startswith(f"The database has {size:,} bytes, before ")
    copy = file.with_name("copy.db")
    backup(url, copy)
    for each in (file, copy):
        with closing(sqlite3.connect(each)) as other:
            assert (_number(other, "auto_vacuum"), _number(other, "freelist_count")) == (2, 0)
            assert _number(other, "page_count") * _number(other, "page_size") == size
            assert other.execute("SELECT count(*) FROM decision_rows").fetchone() == (10,)


def test_postgresql_is_not_rewritten(postgres: Postgres) -> None:
    done = command("db", "vacuum", env={"AUTHZ_DATABASE_URL": postgres.new(prepared=False)})
    assert done.returncode == 1
    assert "PostgreSQL" in done.stderr


async def test_a_rewrite_needs_space(other: sqlite3.Connection, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = _number(other, "page_count") - _number(other, "freelist_count")
    needed = 2 * pages * _number(other, "page_size")
    monkeypatch.setattr("app.db.free_pages.shutil.disk_usage", lambda _: SimpleNamespace(free=needed - 1))
    with pytest.raises(UnusableDatabase, match=f"needs {needed:,} bytes on its disk, of which {needed - 1:,} are free"):
        await rewrite(f"sqlite:///{file}")
    monkeypatch.setattr("app.db.free_pages.shutil.disk_usage", lambda _: SimpleNamespace(free=needed))
    assert (await rewrite(f"sqlite:///{file}"))[1] == file.stat().st_size

"""A backup of an embedded database is complete and private, and never overwrites a file."""

from __future__ import annotations

import asyncio
import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from app.audit.batch import Batch
from app.db.backup import backup
from app.db.decision_writer import DecisionWriter
from app.db.errors import UnusableDatabase
from app.db.migrate import at_head
from app.db.session import Sessions
from tests.cli.command import command
from tests.db.test_decision_store import PLAIN

pytestmark = pytest.mark.anyio
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)


def _count(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("SELECT count(*) FROM decision_rows").fetchone()[0])


@on_sqlite
async def test_a_backup_is_consistent_during_writes(sessions: Sessions, url: str, tmp_path: Path) -> None:
    writer = DecisionWriter(sessions)
    stop = asyncio.Event()

    async def write() -> None:
        while not stop.is_set():
            await writer.write(Batch.of([PLAIN] * 50))

    writing = asyncio.create_task(write())
    copies = []
    for number in range(5):
        copy = tmp_path / f"copy-{number}.db"
        assert await asyncio.to_thread(backup, url, copy) == copy.stat().st_size
        copies.append(copy)
        await asyncio.sleep(0.02)
    stop.set()
    await writing
    counts = [_count(copy) for copy in copies]
    assert counts == sorted(counts)
    assert all(count % 50 == 0 for count in counts), "it contains a whole batch or nothing of it"
    assert counts[-1] > 0
    assert await at_head(f"sqlite:///{copies[-1]}")
    assert stat.S_IMODE(copies[0].stat().st_mode) == 0o600
    assert not list(tmp_path.glob("*.part*"))


@on_sqlite
async def test_an_existing_file_is_not_overwritten(url: str, tmp_path: Path) -> None:
    kept = tmp_path / "kept.db"
    kept.write_text("another's")
    with pytest.raises(UnusableDatabase, match=r"kept\.db exists already"):
        backup(url, kept)
    assert kept.read_text() == "another's"
    assert not list(tmp_path.glob("*.part*"))


@on_sqlite
async def test_a_failed_backup_is_reported(url: str, tmp_path: Path) -> None:
    with pytest.raises(UnusableDatabase, match="There is no database"):
        backup(f"sqlite:///{tmp_path / 'none.db'}", tmp_path / "copy.db")
    assert not (tmp_path / "none.db").exists(), "it is not created"
    with pytest.raises(UnusableDatabase, match="cannot be written"):
        backup(url, tmp_path / "nowhere" / "copy.db")
    broken = tmp_path / "broken.db"
    broken.write_bytes(b"not a database" * 500)
    with pytest.raises(UnusableDatabase, match="cannot be copied: file is not a database"):
        backup(f"sqlite:///{broken}", tmp_path / "copy.db")
    assert not (tmp_path / "copy.db").exists()


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
def test_postgresql_has_its_own_backup(url: str, tmp_path: Path) -> None:
    told = command("db", "backup", str(tmp_path / "copy"), env={"AUTHZ_DATABASE_URL": url})
    assert told.returncode == 1
    assert "pg_dump" in told.stderr
    assert not (tmp_path / "copy").exists()

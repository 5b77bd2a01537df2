"""The wait for SQLite's write lock."""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy.exc import OperationalError

from app.db.availability import error_name, is_away
from app.db.reasons import reason_of
from app.db.write_lock import begin_immediate

_WAIT = 200  # milliseconds


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript("PRAGMA journal_mode = WAL; CREATE TABLE t (n INTEGER); INSERT INTO t VALUES (0)")
    return path


@pytest.fixture
def cursor(file: Path) -> Iterator[sqlite3.Cursor]:
    with closing(sqlite3.connect(file, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA busy_timeout = {_WAIT}")
        yield connection.cursor()


@pytest.fixture
def holder(file: Path) -> Iterator[sqlite3.Connection]:
    """A connection that holds the lock."""
    with closing(sqlite3.connect(file, isolation_level=None, check_same_thread=False)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def timeout_of(cursor: sqlite3.Cursor) -> int:
    (milliseconds,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    assert isinstance(milliseconds, int)
    return milliseconds


def test_a_lock_that_is_not_released_is_an_error_after_the_busy_timeout(
    cursor: sqlite3.Cursor, holder: sqlite3.Connection
) -> None:
    started = time.monotonic()
    with pytest.raises(sqlite3.OperationalError, match="database is locked"):
        begin_immediate(cursor)
    assert time.monotonic() - started >= _WAIT / 1000
    assert timeout_of(cursor) == _WAIT
    holder.rollback()
    begin_immediate(cursor)
    assert cursor.connection.in_transaction


@pytest.mark.usefixtures("holder")
def test_the_error_of_a_locked_file_says_so(cursor: sqlite3.Cursor) -> None:
    cursor.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(sqlite3.OperationalError) as locked:
        cursor.execute("BEGIN IMMEDIATE")
    error = OperationalError("UPDATE keys SET name = 'secret'", {}, locked.value)
    assert is_away(error)
    assert error_name(error) == "OperationalError: database is locked"
    assert reason_of(locked.value) == (
        "another program keeps the SQLite database locked: try again, or end that program"
    )
    with pytest.raises(sqlite3.OperationalError) as wrong:
        cursor.execute("SELECT secret")
    assert error_name(OperationalError("", {}, wrong.value)) == "OperationalError"
    assert reason_of(wrong.value) is None


def test_a_lock_that_is_released_is_taken(cursor: sqlite3.Cursor, holder: sqlite3.Connection) -> None:
    timer = threading.Timer(_WAIT / 4_000, holder.rollback)
    timer.start()
    begin_immediate(cursor)
    assert cursor.connection.in_transaction
    assert timeout_of(cursor) == _WAIT
    timer.join()


def test_another_error_is_raised_at_once(cursor: sqlite3.Cursor) -> None:
    begin_immediate(cursor)
    with pytest.raises(sqlite3.OperationalError, match="within a transaction"):
        begin_immediate(cursor)
    assert timeout_of(cursor) == _WAIT


def test_waiting_writers_all_write(file: Path) -> None:
    def count() -> None:
        with closing(sqlite3.connect(file, isolation_level=None)) as connection:
            for _ in range(50):
                cursor = connection.cursor()
                begin_immediate(cursor)
                (number,) = cursor.execute("SELECT n FROM t").fetchone()
                cursor.execute("UPDATE t SET n = ?", (number + 1,))
                connection.commit()

    threads = [threading.Thread(target=count) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with closing(sqlite3.connect(file)) as connection:
        assert connection.execute("SELECT n FROM t").fetchone() == (200,)

"""The write lock of a SQLite database, for which its connections and processes wait."""

from __future__ import annotations

import sqlite3
import time

BEGIN_IMMEDIATE = "BEGIN IMMEDIATE"
# SQLite's own wait sleeps for up to 0.1 seconds at a time, while the lock may be free: of four workers that write their
# decisions, most then wait for nothing.
_PAUSE_SECONDS = 0.001
_PRIMARY_CODE = 0xFF  # of a result code, without its extension


def begin_immediate(cursor: sqlite3.Cursor) -> None:
    """Begin a transaction that holds the write lock, for which it waits as long as the busy timeout says.

    Blocks the thread. Raises sqlite3.OperationalError, as the statement does.
    """
    (milliseconds,) = cursor.execute("PRAGMA busy_timeout").fetchone()
    deadline = time.monotonic() + milliseconds / 1000
    cursor.execute("PRAGMA busy_timeout = 0")
    try:
        while not _has_begun(cursor, is_last=time.monotonic() >= deadline):
            time.sleep(_PAUSE_SECONDS)
    finally:
        cursor.execute(f"PRAGMA busy_timeout = {milliseconds}")


def _has_begun(cursor: sqlite3.Cursor, *, is_last: bool) -> bool:
    try:
        cursor.execute(BEGIN_IMMEDIATE)
    except sqlite3.OperationalError as error:
        if is_last or error.sqlite_errorcode & _PRIMARY_CODE != sqlite3.SQLITE_BUSY:
            raise
        return False
    return True

"""Gives the disk the pages of a SQLite file that deleted rows have freed, a few at a time, while servers write.

Only a file that is created with incremental vacuum, or was rewritten with it, can do so:
https://www.sqlite.org/pragma.html#pragma_incremental_vacuum
"""

from __future__ import annotations

import shutil
import sqlite3
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.audit.log import BatchNotStored
from app.db.engine import INCREMENTAL, WITHOUT_TRANSACTION, open_engine, sqlite_file
from app.db.errors import UnusableDatabase

_READERS_MILLISECONDS = 100  # for which writers wait for readers
STEP_PAGES = 32  # of 4 KB: writers wait for a few milliseconds, mostly for the disk


async def release_pages(connection: AsyncConnection) -> bool:
    """Give back at most `STEP_PAGES` free pages in one transaction; return whether more are free.

    The connection is one WITHOUT_TRANSACTION to SQLite. After the last step the write-ahead log is copied to the file,
    which shrinks then. That waits for no reader and no writer: what it cannot copy, a later write will.
    Raises BatchNotStored, or the errors of SQLAlchemy.
    """
    if await _number(connection, "auto_vacuum") != INCREMENTAL:
        return False
    free = await _number(connection, "freelist_count")
    if free:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            # The pragma gives back a page with each row, and of rows without columns only a script fetches all.
            cursor = await driver.executescript(f"PRAGMA incremental_vacuum({STEP_PAGES})")
            await cursor.close()
        except sqlite3.Error as error:
            raise BatchNotStored(f"{type(error).__name__}: {error}") from error
        if free <= STEP_PAGES:
            (await connection.exec_driver_sql("PRAGMA wal_checkpoint(PASSIVE)")).all()
    return free > STEP_PAGES


async def empty_write_ahead_log(engine: AsyncEngine) -> None:
    """Copy the write-ahead log of SQLite to the file, and truncate it. Writers wait; a reader makes it give up soon.

    Raises the errors of SQLAlchemy.
    """
    async with engine.connect() as plain:
        connection = await plain.execution_options(**WITHOUT_TRANSACTION)
        usual = await _number(connection, "busy_timeout")
        await _number(connection, f"busy_timeout = {_READERS_MILLISECONDS}")
        try:
            (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).all()
        finally:
            await _number(connection, f"busy_timeout = {usual}")


async def rewrite(url: str) -> tuple[int, int]:
    """Rewrite a SQLite file without free pages and with incremental vacuum; return its size in bytes before and after.

    Writers wait until the end, or fail; an interrupted rewrite changes nothing. Raises UnusableDatabase for PostgreSQL,
    a missing file, or too little space for a copy in a temporary file and another in the write-ahead log.
    """
    file = sqlite_file(url)
    if file is None:
        raise UnusableDatabase("PostgreSQL gives back space by itself; this command rewrites SQLite files.")
    if not file.is_file():
        raise UnusableDatabase(f"There is no database {file} to rewrite.")
    engine = open_engine(url)
    try:
        async with engine.connect() as plain:
            connection = await plain.execution_options(**WITHOUT_TRANSACTION)
            pages = await _number(connection, "page_count") - await _number(connection, "freelist_count")
            needed, free = 2 * pages * await _number(connection, "page_size"), shutil.disk_usage(file.parent).free
            if free < needed:
                raise UnusableDatabase(
                    f"Rewriting {file} needs {needed:,} bytes on its disk, of which {free:,} are free: make room first."
                )
            (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).all()
            before = file.stat().st_size
            await connection.exec_driver_sql(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            await connection.exec_driver_sql("VACUUM")
            (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).all()
    finally:
        await engine.dispose()
    return before, file.stat().st_size


async def _number(connection: AsyncConnection, pragma: str) -> int:
    return int((await connection.exec_driver_sql(f"PRAGMA {pragma}")).scalar_one())

"""The database engine: from a plain URL to asynchronous SQLite or PostgreSQL, set up to be safe."""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "sqlite+aiosqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "postgres": "postgresql+asyncpg",
    "postgresql+asyncpg": "postgresql+asyncpg",
}
_PRAGMAS = (
    "busy_timeout = 5000",  # a second writer waits instead of failing, in milliseconds; first, for the next may wait
    "journal_mode = WAL",  # readers never wait for the writer
    "foreign_keys = ON",  # SQLite does not check them otherwise
    "synchronous = FULL",  # a key that was reported as revoked stays revoked after a power cut
)
_BEGIN = "sqlite_begin"
CONNECT_SECONDS = 3.0  # for a connection that must not be waited for


class UnusableDatabase(Exception):
    """The database URL cannot be used. The message says what is wrong with it and how to write it."""


def async_url(url: str) -> URL:
    """The URL with the asynchronous driver for its database.

    `sqlite:///file` and `postgresql://…` are enough; a driver may be named. Raises UnusableDatabase, whose
    message never shows the URL, for it may hold a password.
    """
    try:
        parsed = make_url(url)
    except (ArgumentError, ValueError):
        raise UnusableDatabase(
            "The database URL cannot be read; write sqlite:///path/to/file.db or postgresql://user@host/database."
        ) from None
    driver = _DRIVERS.get(parsed.drivername)
    if driver is None:
        known = ", ".join(sorted(_DRIVERS))
        raise UnusableDatabase(f"The database {parsed.drivername!r} is not supported; use one of {known}.")
    if driver.startswith("sqlite") and (parsed.database or ":memory:") == ":memory:":
        raise UnusableDatabase("SQLite needs a file, for every connection would see its own memory: sqlite:///path.db.")
    return parsed.set(drivername=driver)


def open_engine(url: str) -> AsyncEngine:
    """An engine for `url`; it connects when it is first used. Close it with `await engine.dispose()`.

    A SQLite file that does not exist is created for its owner alone, and so is its folder. Raises
    UnusableDatabase for a URL that cannot be used.
    """
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        _create_private(Path(parsed.database or ""))
        return _sqlite(create_async_engine(parsed))
    return create_async_engine(parsed, pool_pre_ping=True)


def open_line_engine(url: str) -> AsyncEngine:
    """An engine for a connection that is kept: outside of any pool, and on PostgreSQL outside of transactions too."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(create_async_engine(parsed, poolclass=NullPool))
    connect = {"timeout": CONNECT_SECONDS}
    return create_async_engine(parsed, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect)


def _sqlite(engine: AsyncEngine) -> AsyncEngine:
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def is_embedded(url: str) -> bool:
    """Whether the database is a file beside the processes that use it. Raises UnusableDatabase."""
    return async_url(url).get_backend_name() == "sqlite"


# A transaction that reads before it writes takes SQLite's write lock at its start: another writer in between
# would make its own write fail at once, whatever the busy timeout. PostgreSQL ignores the option.
LOCK_FIRST = {_BEGIN: "IMMEDIATE"}


def _create_private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as refused:
        raise UnusableDatabase(f"The database file {file} cannot be opened: {refused.strerror}.") from refused


def _prepare_sqlite(connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin late and end at DDL; ours begin and end where SQLAlchemy says.
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")

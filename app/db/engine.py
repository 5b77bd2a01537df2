"""The database engine: from a plain URL to asynchronous SQLite or PostgreSQL, set up to be safe."""

from __future__ import annotations

import math
import os
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, event, make_url
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
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
    "journal_mode = WAL",  # readers never wait for the writer
    "foreign_keys = ON",  # SQLite does not check them otherwise
    "synchronous = FULL",  # a key that was reported as revoked stays revoked after a power cut
)
_BEGIN = "sqlite_begin"
CONNECT_SECONDS = 2.0
LINE = "authz line"  # how PostgreSQL's own views name the connections by which processes hear of changes
_SQLITE_SECONDS = 5.0


class DatabaseAway(SQLAlchemyError):
    """The database cannot be reached, or did not answer in time. The message shows nothing of the question."""


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


def open_engine(url: str, *, timeout_seconds: float | None = None) -> AsyncEngine:
    """An engine for `url`; it connects when it is first used. Close it with `await engine.dispose()`.

    A SQLite file that does not exist is created for its owner alone, and so is its folder; a lock on it is waited for
    `timeout_seconds`. On PostgreSQL no statement takes longer than that, and no transaction is left idle for longer;
    what cannot be reached, or does not answer in time, raises DatabaseAway or TimeoutError. Raises UnusableDatabase
    for a URL that cannot be used.
    """
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        _create_private(Path(parsed.database or ""))
        return _sqlite(create_async_engine(parsed), timeout_seconds or _SQLITE_SECONDS)
    settings = {"application_name": "griddy-authz"}
    if timeout_seconds is not None:
        # Of a process that was paused, or of a machine that is gone: its locks must not stay.
        settings["idle_in_transaction_session_timeout"] = str(math.ceil(timeout_seconds * 1000))
    engine = create_async_engine(
        parsed,
        pool_pre_ping=True,
        pool_timeout=CONNECT_SECONDS,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "command_timeout": timeout_seconds,
            "server_settings": settings,
        },
    )
    event.listen(engine.sync_engine, "do_connect", _connect)
    event.listen(engine.sync_engine, "handle_error", _lost)
    return engine


def _connect(dialect: Dialect, _entry: ConnectionPoolEntry, words: tuple[Any, ...], named: dict[str, Any]) -> Any:
    """Connect, or say that it is away: a driver raises whatever the network did."""
    try:
        return dialect.connect(*words, **named)
    except OSError as error:
        raise DatabaseAway(f"{type(error).__name__} while connecting") from error


def _lost(context: ExceptionContext) -> None:
    """A statement that was not answered in time, or whose connection broke, leaves a connection of no further use."""
    if isinstance(context.original_exception, OSError):
        context.is_disconnect = True
        raise DatabaseAway(type(context.original_exception).__name__) from context.original_exception


def open_line_engine(url: str) -> AsyncEngine:
    """An engine for a connection that is kept: outside of any pool, and on PostgreSQL outside of transactions too."""
    parsed = async_url(url)
    if parsed.get_backend_name() == "sqlite":
        return _sqlite(create_async_engine(parsed, poolclass=NullPool))
    connect = {"timeout": CONNECT_SECONDS, "server_settings": {"application_name": LINE}}
    return create_async_engine(parsed, poolclass=NullPool, isolation_level="AUTOCOMMIT", connect_args=connect)


def _sqlite(engine: AsyncEngine, timeout_seconds: float = _SQLITE_SECONDS) -> AsyncEngine:
    event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, timeout_seconds))
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


def _prepare_sqlite(wait_seconds: float, connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver's own transactions begin late and end at DDL; ours begin and end where SQLAlchemy says.
    connection.isolation_level = None
    cursor = connection.cursor()
    # A second writer waits instead of failing, in milliseconds. First, for the next may wait.
    cursor.execute(f"PRAGMA busy_timeout = {math.ceil(wait_seconds * 1000)}")
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(f"BEGIN {connection.get_execution_options().get(_BEGIN, 'DEFERRED')}")

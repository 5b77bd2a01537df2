"""Opens database engines for asynchronous SQLite or PostgreSQL, with safe settings."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import URL, Connection, Dialect, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry, NullPool

from app.db.address import PostgresAddress, address_of
from app.db.aiosqlite_private import SqliteConnection, open_connection
from app.db.errors import UnusableDatabase
from app.db.pool_private import FairPool
from app.db.write_lock import BEGIN_IMMEDIATE
from app.extras import missing_extra

_PRAGMAS = (
    "journal_mode = WAL",  # readers never wait for the writer
    "foreign_keys = ON",  # off by default in SQLite
    "synchronous = FULL",  # a key that was reported as revoked stays revoked after a power cut
)
INCREMENTAL = 2  # the auto_vacuum with which a SQLite file gives back free pages when retention requests it
_BEGIN = "sqlite_begin"
NAME = "griddy-authz"  # default application_name of connections to PostgreSQL
LINE = "authz line"  # application_name of heartbeat connections
_SQLITE_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class PoolSize:
    """The maximum of connections to PostgreSQL in a process, and how long a request waits for one."""

    connections: int = 10
    wait_seconds: float = 10.0


def open_engine(url: str, *, timeout_seconds: float | None = None, pool: PoolSize | None = None) -> AsyncEngine:
    """Return an engine for `url`, which connects when it is first used. Close it with `await engine.dispose()`.

    A missing SQLite file and its folder are created for their owner only; a statement waits for a lock on the file for
    `timeout_seconds`. On PostgreSQL no statement takes longer than that, and no transaction stays idle for longer; a
    server that cannot be reached, or does not answer in time, raises DatabaseUnavailable or TimeoutError.
    Raises UnusableDatabase for a URL that cannot be used.
    """
    address = address_of(url)
    if isinstance(address, URL):
        _create_private(Path(address.database or ""))
        return _sqlite(create_async_engine(address, poolclass=FairPool), timeout_seconds or _SQLITE_SECONDS)
    settings = {}
    if timeout_seconds is not None:
        # The locks of a paused process or a lost machine must not stay.
        settings["idle_in_transaction_session_timeout"] = str(math.ceil(timeout_seconds * 1000))
    pool = pool or PoolSize()
    sizes = {"poolclass": FairPool, "pool_size": pool.connections, "max_overflow": 0, "pool_timeout": pool.wait_seconds}
    return _postgresql(address, NAME, settings, timeout_seconds, sizes)


def open_heartbeat_engine(url: str) -> AsyncEngine:
    """Return an engine for a heartbeat connection, outside of any pool."""
    address = address_of(url)
    if isinstance(address, URL):
        return _sqlite(create_async_engine(address, poolclass=NullPool))
    return _postgresql(address, LINE, {}, None, {"poolclass": NullPool})


def _postgresql(
    address: PostgresAddress, name: str, settings: Mapping[str, str], seconds: float | None, pool: Mapping[str, Any]
) -> AsyncEngine:
    if missing := missing_extra("postgresql"):
        raise UnusableDatabase(f"AUTHZ_DATABASE_URL: {missing}.")
    from app.db.postgresql import RECYCLE_SECONDS, Connector  # noqa: PLC0415  # a start on SQLite needs no driver

    connector = Connector(address, name=name, settings=settings, command_seconds=seconds)
    engine = create_async_engine("postgresql+asyncpg://", pool_recycle=RECYCLE_SECONDS, **pool)
    event.listen(engine.sync_engine, "do_connect", connector.do_connect)
    event.listen(engine.sync_engine, "checkout", connector.checkout)
    event.listen(engine.sync_engine, "handle_error", connector.handle_error)
    return engine


def _sqlite(engine: AsyncEngine, timeout_seconds: float = _SQLITE_SECONDS) -> AsyncEngine:
    event.listen(engine.sync_engine, "do_connect", _use_driver)
    event.listen(engine.sync_engine, "connect", partial(_prepare_sqlite, timeout_seconds))
    event.listen(engine.sync_engine, "begin", _begin_sqlite)
    return engine


def sqlite_file(url: str) -> Path | None:
    """The file of a SQLite database; None for PostgreSQL. Raises UnusableDatabase."""
    address = address_of(url)
    return Path(address.database or "").absolute() if isinstance(address, URL) else None


def is_embedded(url: str) -> bool:
    """Whether the database is a SQLite file. Raises UnusableDatabase."""
    return isinstance(address_of(url), URL)


# A transaction that reads before it writes takes SQLite's write lock when it begins: otherwise another writer in
# between makes its own write fail at once, whatever the busy timeout. PostgreSQL ignores the option.
LOCK_FIRST = {_BEGIN: BEGIN_IMMEDIATE}
# What SQLite refuses in a transaction, such as a checkpoint. On PostgreSQL a transaction begins nevertheless.
WITHOUT_TRANSACTION = {_BEGIN: ""}


def _create_private(file: Path) -> None:
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(file, os.O_RDWR | os.O_CREAT, 0o600))
    except OSError as refused:
        raise UnusableDatabase(
            f"AUTHZ_DATABASE_URL: The database file {file} cannot be opened: {refused.strerror}."
        ) from refused


def _prepare_sqlite(wait_seconds: float, connection: DBAPIConnection, _entry: ConnectionPoolEntry) -> None:
    # The driver begins transactions late and ends them at DDL; SQLAlchemy begins and ends ours.
    connection.isolation_level = None
    cursor = connection.cursor()
    # Milliseconds that a second writer waits instead of failing. Set first, since the next pragma may wait.
    cursor.execute(f"PRAGMA busy_timeout = {math.ceil(wait_seconds * 1000)}")
    # Possible only before the first page is written; later it would take the write lock for nothing.
    cursor.execute("PRAGMA page_count")
    if cursor.fetchone() == (0,):
        cursor.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
    for pragma in _PRAGMAS:
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _use_driver(_dialect: Dialect, _entry: ConnectionPoolEntry, _arguments: object, options: dict[str, Any]) -> None:
    options["async_creator_fn"] = open_connection


def _begin_sqlite(connection: Connection) -> None:
    mode = connection.get_execution_options().get(_BEGIN)
    if mode is None:
        driver = connection.connection.driver_connection
        assert isinstance(driver, SqliteConnection)
        driver.begin_deferred()
    elif mode:
        connection.exec_driver_sql(mode)

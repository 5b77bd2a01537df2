"""Upgrades a database to the schema of this version, or reports its revision.

Each function opens and closes its own connections, and raises UnusableDatabase for a URL that cannot be used.
Alembic is imported only for an upgrade, so that it does not slow down the start of a server.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection, inspect, text

from app.db.address import sqlite_file
from app.db.engine import LOCK_FIRST, open_engine
from app.db.errors import UnusableDatabase
from app.db.partitions import make_ahead

_REVISIONS = Path(__file__).parent / "migrations"
_VERSIONS = "alembic_version"
# An advisory lock that nothing else uses: one upgrade at a time on PostgreSQL.
_ADVISORY_LOCK = 0x617574687A
T = TypeVar("T")


async def upgrade(url: str, after: Callable[[Connection, bool], None] | None = None) -> str:
    """Upgrade the database to the newest revision in one transaction, and return that revision.

    `after` ends the transaction; it is called with whether the database was empty before. Several processes may call
    this at the same time. Raises UnusableDatabase also for a database that a newer version
    has upgraded.
    """
    await _with_connection(url, partial(_upgrade, after=after), LOCK_FIRST)
    return head()


async def current_revision(url: str) -> str | None:
    """The revision of the database; None if it was never upgraded."""
    return await _with_connection(url, _current, {})


async def at_head(url: str) -> bool:
    """Whether the database has the schema that this version of the program needs."""
    return await current_revision(url) == head()


async def schema_fault(url: str, sample_table: str | None = None) -> str | None:
    """Why this version does not start on the database, and what to do; None if it does.

    `sample_table` is a table of the sample API, if that is served.

    It does not start on a newer schema than it knows, although a process that was started before keeps running: see
    tests/db/test_expand. A missing SQLite file is not created.
    """
    file = sqlite_file(url)
    if file and not file.exists():
        return (
            f"there is no database {file.absolute()}: set AUTHZ_DATABASE_URL, or create it with `authz db upgrade`. "
            "A relative address is relative to the directory in which the command runs."
        )
    current = await current_revision(url)
    if current is not None and current not in _known():
        return f"the database has revision {current}, which this version does not know: run the newer version."
    if current == head():
        if sample_table and not await _with_connection(url, partial(_has_table, name=sample_table), {}):
            return (
                "the database has no tables of the sample API: set AUTHZ_SAMPLE_API=false, or create them with "
                "`authz db upgrade`."
            )
        return None
    which = f" {file.absolute()}" if file else ""
    return f"the database{which} is not prepared for this version: run `authz db upgrade`."


def head() -> str:
    """The newest revision that this version of the program knows."""
    return max(_known())


def _known() -> set[str]:
    """All revisions, by the names of their files: `v0001_first.py` is 0001."""
    return {file.name[1:5] for file in (_REVISIONS / "versions").glob("v*.py")}


async def _with_connection(url: str, act: Callable[[Connection], T], options: Mapping[str, str]) -> T:
    engine = open_engine(url)
    try:
        async with engine.connect() as connection:
            await connection.execution_options(**options)
            async with connection.begin():
                return await connection.run_sync(act)
    finally:
        await engine.dispose()


def _current(connection: Connection) -> str | None:
    if not inspect(connection).has_table(_VERSIONS):
        return None
    revision: str | None = connection.execute(text(f"SELECT version_num FROM {_VERSIONS}")).scalar_one_or_none()  # noqa: S608  # our own name
    return revision


def _has_table(connection: Connection, name: str) -> bool:
    return inspect(connection).has_table(name)


def _upgrade(connection: Connection, after: Callable[[Connection, bool], None] | None) -> None:
    from alembic import command  # noqa: PLC0415  # see above
    from alembic.config import Config  # noqa: PLC0415  # see above

    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    current = _current(connection)
    if current is not None and current not in _known():
        raise UnusableDatabase(
            f"The database has revision {current}, which this version does not know: run the newer version."
        )
    config = Config()
    config.set_main_option("script_location", str(_REVISIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    make_ahead(connection)
    if after:
        after(connection, current is None)

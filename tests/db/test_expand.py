"""Migrations expand the schema: the previous release works on the new schema, and during the migration.

Processes of the previous release keep running while the database is upgraded, and the new release follows. A later
migration may remove what is no longer needed.
"""

from __future__ import annotations

import asyncio
import secrets
from datetime import UTC, date, datetime
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, MetaData, Table, insert, inspect, select
from sqlalchemy.ext.asyncio import AsyncEngine

from app.db.engine import LOCK_FIRST, open_engine
from app.db.migrate import _known, head
from tests.support.server import ROOT

pytestmark = [
    pytest.mark.anyio,
    # Indexes on expressions cannot be reflected on SQLite.
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
]
STEPS = sorted(_known())
# Tables that a server writes at any time, without references.
WRITTEN = ("api_keys", "tags", "policy_revisions", "admin_actions")


async def to(engine: AsyncEngine, revision: str) -> None:
    """Upgrade to this revision."""

    def act(connection: Connection) -> None:
        config = Config()
        config.set_main_option("script_location", str(ROOT / "app" / "db" / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    async with engine.connect() as connection:
        await connection.execution_options(**LOCK_FIRST)
        async with connection.begin():
            await connection.run_sync(act)


def columns(connection: Connection) -> dict[tuple[str, str], dict[str, Any]]:
    """Every column, by table and name."""
    return {
        (table, column["name"]): dict(column)
        for (_, table), found in inspect(connection).get_multi_columns().items()
        if not table.startswith(("sqlite_", "alembic_"))
        for column in found
    }


def kind_of(column: dict[str, Any]) -> str:
    """The type of a column, without its collation."""
    return str(column["type"]).partition(" COLLATE ")[0]


def uniques(connection: Connection) -> set[tuple[str, tuple[str, ...]]]:
    """The unique constraints, each with its table."""
    inspector = inspect(connection)
    constraints = {
        (table, tuple(each["column_names"]))
        for (_, table), found in inspector.get_multi_unique_constraints().items()
        for each in found
    }
    indexes = {
        (table, tuple(map(str, each["column_names"])))
        for (_, table), found in inspector.get_multi_indexes().items()
        for each in found
        if each["unique"]
    }
    return constraints | indexes


async def test_each_migration_keeps_what_the_previous_release_uses(empty: str) -> None:
    engine = open_engine(empty)
    before: dict[tuple[str, str], dict[str, Any]] = {}
    unique_before = set[tuple[str, tuple[str, ...]]]()
    for step in STEPS:
        await to(engine, step)
        async with engine.connect() as connection:
            after = await connection.run_sync(columns)
            unique_after = await connection.run_sync(uniques)
        tables = {table for table, _ in before}
        assert before.keys() <= after.keys(), step
        for place, old in before.items():
            assert kind_of(after[place]) == kind_of(old), (step, place)
            assert after[place]["nullable"] or not old["nullable"], (step, place)
        for table, name in after.keys() - before.keys():
            new = after[table, name]
            assert table not in tables or new["nullable"] or new["default"] is not None, (step, table, name)
        assert {each for each in unique_after if each[0] in tables} <= unique_before, step
        before, unique_before = after, unique_after
    await engine.dispose()


def value(column: Any) -> object:
    """A value for a column that differs from that of other rows."""
    now = datetime.now(UTC)
    text = secrets.token_hex(16)[: getattr(column.type, "length", None) or 32]
    made: dict[type, object] = {bytes: secrets.token_bytes(32), str: text, bool: False, datetime: now, date: now.date()}
    return made.get(column.type.python_type, secrets.randbits(40))


async def test_the_previous_release_works_during_the_upgrade(empty: str) -> None:
    engine, upgrading = open_engine(empty), open_engine(empty)
    await to(engine, STEPS[-2])
    metadata = MetaData()
    async with engine.connect() as connection:
        await connection.run_sync(lambda sync: metadata.reflect(sync, only=WRITTEN))
    over = asyncio.Event()
    written = dict.fromkeys(WRITTEN, 0)

    async def go_on(table: Table) -> None:
        """Write and read as the previous release, with the columns that it knows."""
        own = [column for column in table.columns if column.name != "id"]
        more = 5
        while not over.is_set() or (more := more - 1):
            async with engine.connect() as connection:
                await connection.execution_options(**LOCK_FIRST)
                async with connection.begin():
                    await connection.execute(insert(table).values({column.name: value(column) for column in own}))
                    await connection.execute(select(table))
            written[table.name] += 1

    writers = [asyncio.create_task(go_on(metadata.tables[name])) for name in WRITTEN]
    while not all(written.values()) and not any(writer.done() for writer in writers):
        await asyncio.sleep(0.01)
    await to(upgrading, head())
    over.set()
    await asyncio.gather(*writers)
    async with engine.connect() as connection:
        for name, times in written.items():
            assert len((await connection.execute(select(metadata.tables[name].c.id))).all()) == times
    await engine.dispose()
    await upgrading.dispose()

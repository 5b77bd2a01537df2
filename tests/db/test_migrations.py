"""Migrations create the schema of the models."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect, text
from sqlalchemy.exc import DBAPIError

from app.db.engine import open_engine
from app.db.errors import UnusableDatabase
from app.db.migrate import at_head, current_revision, head, schema_fault, upgrade
from app.griddy.tables import metadata, presence
from tests.support.server import ROOT

pytestmark = [
    pytest.mark.anyio,
    # Indexes on expressions cannot be compared on SQLite.
    pytest.mark.filterwarnings("ignore:Skipped unsupported reflection of expression-based index"),
    pytest.mark.filterwarnings("ignore:autogenerate skipping metadata-specified expression-based index"),
]
_PARTITIONS = ("decisions_", "decision_rows_")


async def _ask(url: str, *statements: str) -> list[Any]:
    engine = open_engine(url)
    async with engine.begin() as connection:
        answers = [await connection.execute(text(statement)) for statement in statements]
        rows = [tuple(row) for row in answers[-1].all()] if answers[-1].returns_rows else []
    await engine.dispose()
    return rows


async def _schema(url: str) -> dict[str, dict[str, Any]]:
    """The tables with their columns, without partitions."""

    def read(connection: Connection) -> dict[str, dict[str, Any]]:
        found = inspect(connection)
        tables = [name for name in found.get_table_names() if not name.startswith(("sqlite_", *_PARTITIONS))]
        return {
            table: {column["name"]: (str(column["type"]), column["default"]) for column in found.get_columns(table)}
            for table in tables
        }

    engine = open_engine(url)
    async with engine.connect() as connection:
        schema = await connection.run_sync(read)
    await engine.dispose()
    return schema


async def test_upgrade_is_idempotent(empty: str) -> None:
    assert await current_revision(empty) is None
    assert not await at_head(empty)
    assert await upgrade(empty) == head()
    assert await at_head(empty)
    await _ask(empty, "INSERT INTO tags (name) VALUES ('kept')")
    schema = await _schema(empty)
    assert await upgrade(empty) == head()
    assert await current_revision(empty) == head()
    assert await _schema(empty) == schema
    assert await _ask(empty, "SELECT name FROM tags") == [("kept",)]


async def test_the_migrated_schema_is_that_of_the_models(empty: str) -> None:
    await upgrade(empty)

    def whole(name: str | None, _kind: str, _parents: object) -> bool:
        return not str(name).startswith(_PARTITIONS)

    def is_of_dialect(item: Any, *_: object) -> bool:
        return bool(item.info.get("dialect", empty.partition(":")[0]) == empty.partition(":")[0])

    options = {
        "compare_type": True,
        "compare_server_default": True,
        "include_name": whole,
        "include_object": is_of_dialect,
    }

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts=options)
        return list(compare_metadata(context, metadata))

    engine = open_engine(empty)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text("ALTER TABLE tags ADD COLUMN stray TEXT"))
        assert [found[0] for found in await connection.run_sync(differences)] == ["remove_column"]
    await engine.dispose()


async def test_a_new_database_without_the_sample_api_has_no_tables_of_it(empty: str) -> None:
    await upgrade(empty, presence.leave_out)
    sample = {table.name for table in presence.TABLES}
    assert set(await _schema(empty)) == {*metadata.tables, "alembic_version"} - sample
    assert len(sample) == 12
    assert await schema_fault(empty) is None
    fault = await schema_fault(empty, presence.FIRST)
    assert fault is not None
    assert "AUTHZ_SAMPLE_API=false" in fault
    await upgrade(empty, presence.provide)
    assert set(await _schema(empty)) == {*metadata.tables, "alembic_version"}
    assert await schema_fault(empty, presence.FIRST) is None
    await _ask(empty, "INSERT INTO tags (name) VALUES ('kept')")
    await upgrade(empty, presence.leave_out)
    assert await _ask(empty, "SELECT name FROM tags") == [("kept",)], "tables that may have rows stay"


async def test_no_table_reuses_ids(empty: str) -> None:
    await upgrade(empty)
    schema = await _schema(empty)
    assert set(schema) == {*metadata.tables, "alembic_version"}
    if empty.startswith("sqlite"):
        made = dict(await _ask(empty, "SELECT name, sql FROM sqlite_master WHERE type = 'table'"))
        assert all("PRIMARY KEY AUTOINCREMENT" in made[name] for name in metadata.tables)
    else:
        assert all("nextval" in str(schema[name]["id"]) for name in metadata.tables)


async def test_a_failed_upgrade_is_rolled_back(empty: str) -> None:
    await _ask(empty, "CREATE TABLE games (id INTEGER)")
    with pytest.raises(DBAPIError, match=r'games"? already exists'):
        await upgrade(empty)
    assert set(await _schema(empty)) == {"games"}
    assert await current_revision(empty) is None
    await _ask(empty, "DROP TABLE games")
    assert await upgrade(empty) == head()


def test_concurrent_upgrades_create_one_schema(empty: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(lambda _: asyncio.run(upgrade(empty)), range(4)))
    assert revisions == [head()] * 4


async def test_a_database_of_a_newer_version_is_not_changed(empty: str) -> None:
    await upgrade(empty)
    await _ask(empty, "UPDATE alembic_version SET version_num = '9999'")
    assert not await at_head(empty)
    with pytest.raises(UnusableDatabase, match="revision 9999, which this version does not know"):
        await upgrade(empty)
    assert "revision 9999, which this version does not know: run the newer" in str(await schema_fault(empty))
    assert await current_revision(empty) == "9999"


def test_the_head_by_file_names_is_that_of_alembic() -> None:
    config = Config()
    config.set_main_option("script_location", str(ROOT / "app" / "db" / "migrations"))
    script = ScriptDirectory.from_config(config)
    assert script.get_current_head() == head()
    assert {revision.revision for revision in script.walk_revisions()} == {f"{n:04}" for n in range(1, int(head()) + 1)}

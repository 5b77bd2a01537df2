"""Migrations: the schema that they make is the one that the models describe."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError

from app.db.engine import UnusableDatabase, open_engine
from app.db.migrate import at_head, current_revision, head, upgrade
from app.db.tables import metadata

pytestmark = pytest.mark.anyio


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'a %20 name.db'}"


async def _ask(url: str, *statements: str) -> list[Any]:
    engine = open_engine(url)
    async with engine.begin() as connection:
        answers = [await connection.execute(text(statement)) for statement in statements]
        rows = [tuple(row) for row in answers[-1].all()] if answers[-1].returns_rows else []
    await engine.dispose()
    return rows


async def test_an_empty_database_is_upgraded_and_an_upgraded_one_stays_as_it_is(url: str) -> None:
    assert await current_revision(url) is None
    assert not await at_head(url)
    assert await upgrade(url) == head()
    assert await at_head(url)
    await _ask(url, "INSERT INTO tags (name) VALUES ('kept')")
    schema = await _ask(url, "SELECT type, name, sql FROM sqlite_master ORDER BY name")
    assert await upgrade(url) == head()
    assert await current_revision(url) == head()
    assert await _ask(url, "SELECT type, name, sql FROM sqlite_master ORDER BY name") == schema
    assert await _ask(url, "SELECT name FROM tags") == [("kept",)]


async def test_the_migrated_schema_is_the_models(url: str) -> None:
    await upgrade(url)

    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
        return list(compare_metadata(context, metadata))

    engine = open_engine(url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
        await connection.execute(text("ALTER TABLE tags ADD COLUMN stray TEXT"))
        assert [found[0] for found in await connection.run_sync(differences)] == ["remove_column"]
    await engine.dispose()


async def test_every_table_counts_its_ids_up_without_giving_one_twice(url: str) -> None:
    await upgrade(url)
    tables = await _ask(url, "SELECT name, sql FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    assert {name for name, _ in tables} == {*metadata.tables, "alembic_version"}
    assert all("PRIMARY KEY AUTOINCREMENT" in sql for name, sql in tables if name != "alembic_version")


async def test_an_upgrade_that_fails_leaves_nothing_behind(url: str) -> None:
    await _ask(url, "CREATE TABLE games (id INTEGER)")
    with pytest.raises(OperationalError, match="games already exists"):
        await upgrade(url)
    assert await _ask(url, "SELECT name FROM sqlite_master") == [("games",)]
    assert await current_revision(url) is None
    await _ask(url, "DROP TABLE games")
    assert await upgrade(url) == head()


def test_upgrades_at_once_make_one_schema(url: str) -> None:
    with ThreadPoolExecutor(4) as pool:
        revisions = list(pool.map(lambda _: asyncio.run(upgrade(url)), range(4)))
    assert revisions == [head()] * 4


async def test_a_database_of_a_newer_version_is_left_alone(url: str) -> None:
    await upgrade(url)
    await _ask(url, "UPDATE alembic_version SET version_num = '9999'")
    assert not await at_head(url)
    with pytest.raises(UnusableDatabase, match="revision 9999, which this version does not know"):
        await upgrade(url)
    assert await current_revision(url) == "9999"

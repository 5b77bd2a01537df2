"""The resources behind one server, with an empty database for each test."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from tests.griddy.resource_api import DATABASE, serving


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[httpx.Client, Path]]:
    """A client of the server, and the file of its database."""
    directory = tmp_path_factory.mktemp("resources")
    with serving(directory) as client:
        yield client, directory / DATABASE


@pytest.fixture
def api(served: tuple[httpx.Client, Path]) -> httpx.Client:
    """A client of the server, whose database is empty and gives out ids from 1."""
    client, file = served
    with closing(sqlite3.connect(file)) as database, database:
        tables = database.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('alembic_version', 'sqlite_stat1')"
        )
        for (name,) in tables.fetchall():
            database.execute(f"DELETE FROM {name}")  # a name of the schema
    return client

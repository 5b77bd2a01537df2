"""Every query of the program reads few rows on each database, and a missing index is reported."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import text

from app.db.engine import open_engine
from tests.support.databases import Kind
from tests.support.trials.filled_databases import fill_postgresql, fill_sqlite, today
from tests.support.trials.queries import Query, every_query, of_many_keys
from tests.support.trials.query_plans import Read, explained, is_within_bound, print_table

pytestmark = pytest.mark.anyio

KEYS, DECISIONS = 3_000, 12_000
NEEDED = (
    "ix_api_keys_key_prefix",
    "ix_decision_rows_request_id_part",
    "ix_api_keys_last_used_at_id",
    "ix_api_keys_subject_last_used_at_id",  # which SQLite can use for the keys of all subjects, too
)
WITHOUT = {
    "everybody's keys with a whole prefix, by newest",
    "everybody's keys, by used",
    "decisions of a request, older",
}


@pytest.fixture
async def filled(kind: Kind, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a database with keys and with decisions of a week, one partition for each day."""
    for module in ("filled_databases", "queries"):
        monkeypatch.setattr(f"tests.support.trials.{module}.DAYS", 7)
    if kind == "postgresql":
        url: str = request.getfixturevalue("postgres").new(prepared=False)
        await fill_postgresql(url, keys=KEYS, decisions=DECISIONS, now=today())
        return url
    file = tmp_path / "filled.db"
    await asyncio.to_thread(fill_sqlite, str(file), keys=KEYS, decisions=DECISIONS, now=today())
    return f"sqlite:///{file}"


async def _wrong(url: str, queries: Sequence[Query], kind: Kind) -> dict[str, Read]:
    found = await explained(url, queries, seqscan=False, prepared=0)
    print_table("PostgreSQL" if kind == "postgresql" else "SQLite", found)
    # With so few rows, PostgreSQL may sort a partition instead of using an index.
    least = KEYS - 500 if kind == "postgresql" else 0
    return {q.name: read for q, read in found if not is_within_bound(q, read, sqlite=kind == "sqlite", least=least)}


async def test_every_query_reads_few_rows_and_a_missing_index_is_reported(filled: str, kind: Kind) -> None:
    queries = every_query(keys=KEYS, decided=DECISIONS, now=today())
    assert await _wrong(filled, queries, kind) == {}
    engine = open_engine(filled)
    async with engine.begin() as connection:
        for index in NEEDED:
            await connection.execute(text(f"DROP INDEX {index}"))
    await engine.dispose()
    some = [query for query in queries if query.name in WITHOUT]
    assert set(await _wrong(filled, some, kind)) == WITHOUT


async def test_pages_of_an_owner_of_very_many_keys_read_few_rows(tmp_path: Path) -> None:
    file = tmp_path / "filled.db"
    await asyncio.to_thread(fill_sqlite, str(file), keys=KEYS, decisions=100, now=today())
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE api_keys SET subject = 'user_of_many' WHERE id > 100")
    assert await _wrong(f"sqlite:///{file}", of_many_keys("user_of_many", today()), "sqlite") == {}

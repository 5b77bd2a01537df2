"""On PostgreSQL the tables of the decision log have statistics as soon as they have some rows."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.audit.batch import Batch
from app.db.decision_writer import DecisionWriter
from app.db.planner_statistics import analyze_new_tables, run_statistics
from app.db.session import Sessions
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN
from tests.support.databases import Kind

pytestmark = pytest.mark.anyio

ROWS = 3_000
_ANALYZED = "SELECT count(DISTINCT tablename) FROM pg_stats WHERE tablename LIKE 'decision\\_%'"


async def _write(sessions: Sessions) -> None:
    records = [varied(PLAIN, at=NOW + n, request_id=f"r{n}", resource=f"record:{n % 1_500}") for n in range(ROWS)]
    await DecisionWriter(sessions).write(Batch.of(records))


async def _analyzed(sessions: Sessions) -> int:
    async with sessions() as session:
        return int(await session.scalar(text(_ANALYZED)) or 0)


@pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
async def test_new_tables_are_analyzed_once_they_have_rows(sessions: Sessions) -> None:
    engine = sessions.kw["bind"]
    assert await analyze_new_tables(engine) == [], "empty tables"
    await _write(sessions)
    found = await analyze_new_tables(engine)
    assert {name.rpartition("_")[0] for name in found} >= {"decision_rows", "decision"}  # one of a day, and `…_keys`
    assert await _analyzed(sessions) >= 3
    assert await analyze_new_tables(engine) == []


async def test_a_process_that_writes_analyzes_them(kind: Kind, sessions: Sessions) -> None:
    stop, written = asyncio.Event(), [0]
    running = asyncio.create_task(run_statistics(sessions.kw["bind"], lambda: written[0], stop, every_seconds=0.01))
    await _write(sessions)
    if kind == "sqlite":
        async with asyncio.timeout(5):
            await running  # nothing to do
        return
    await asyncio.sleep(0.1)
    written[0] = ROWS
    async with asyncio.timeout(10):
        while not await _analyzed(sessions):
            await asyncio.sleep(0.02)
    stop.set()
    await running

"""Decisions of the previous release: read where they are, and moved while servers of both releases run."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import pytest
from sqlalchemy import insert, text

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BatchNotStored
from app.audit.record import Record
from app.audit.replay import Occurrences, ReplayKey
from app.db import decision_carrying, usage
from app.db.decision_carrying import move, run_carrying
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything, following, newest_id, page
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST, open_engine
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.replay import equal_decisions, request_ids
from app.db.session import Sessions, sessions_of
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet, LoggedDecision
from tests.db.records import RECORD, varied
from tests.db.test_decision_store import NOW, WANTED
from tests.db.test_decision_store import _random as _random_of_any_callers
from tests.support.databases import upgrade_to
from tests.support.server import ROOT

pytestmark = pytest.mark.anyio
BEFORE = "0013"
KEY_TABLES = ("decision_keys", "decision_callers", "decision_targets", "decision_outcomes")


@pytest.fixture
async def sessions(empty: str) -> AsyncIterator[Sessions]:
    """Sessions of the database as the previous release has it."""
    await upgrade_to(empty, BEFORE)
    engine = open_engine(empty)
    yield sessions_of(engine)
    await engine.dispose()


def _random(rows: int) -> list[Record]:
    """Decisions that the previous release made, which knew no apps."""
    return [varied(record, client_id=None, impersonator=None) for record in _random_of_any_callers(rows)]


async def _write_as_before(sessions: Sessions, records: Sequence[Record]) -> None:
    """Write as the previous release does: ids are committed in their order."""
    async with sessions() as session:
        connection = await session.connection(execution_options=LOCK_FIRST)
        if connection.dialect.name == "postgresql":
            await session.execute(text("SELECT pg_advisory_xact_lock(418582390907)"))
        sets = table_of(GrantSet)
        known = {row.digest: row.id for row in await session.execute(sets.select())}
        for grants in {record.key.grants for record in records}:
            if grants is not None and grants.digest not in known:
                values = {"digest": grants.digest, "grants": grants.text, "last_seen_on": datetime.now(UTC).date()}
                known[grants.digest] = await session.scalar(insert(sets).values(values).returning(sets.c.id))
        rows = []
        for record in records:
            row = {**record._asdict(), **record.key._asdict(), "missing": " ".join(record.key.missing)}
            del row["key"], row["times"]
            grants = row.pop("grants")
            rows.append({**row, "grant_set_id": grants and known[grants.digest]})
        await session.execute(insert(table_of(LoggedDecision)), rows)
        await session.commit()


async def _everything(sessions: Sessions, filters: DecisionFilter | None = None) -> list[tuple[int, Record]]:
    found = everything(sessions, filters or DecisionFilter(until=2**60))
    return [(row.id, row.record) async for rows in found for row in rows]


async def _replayed(sessions: Sessions) -> dict[ReplayKey, Occurrences]:
    (groups,) = [groups async for groups in equal_decisions(sessions, 0, 2**60, slices=1)]
    return dict(groups)


async def test_decisions_are_read_the_same_before_while_and_after_they_are_moved(
    sessions: Sessions, empty: str
) -> None:
    records = _random(230)
    await _write_as_before(sessions, records)
    await upgrade(empty)
    expected = [(number, record) for number, record in enumerate(records, 1)]
    in_order = sorted(expected, key=lambda row: (row[1].at, row[0]))
    replayed = await _replayed(sessions)
    for moved in (0, 100, 130):
        assert moved == 0 or await move(sessions, moved) == moved
        assert await _everything(sessions) == in_order
        assert await _replayed(sessions) == replayed
        async with sessions() as session:
            rows, last = await following(session, DecisionFilter(), after=100)
            assert ([row.id for row in rows], last) == (list(range(101, 231)), 230)
            for wanted in WANTED[1:12]:
                found = [row.id for row in (await page(session, wanted, size=60)).rows]
                fitting = [row.id async for part in everything(sessions, wanted) for row in part]
                assert found == fitting[::-1][:60]
            uses = await usage.uses(session, 1, 0)
            assert await usage.number(session, 1, 0, at_most=10_000) == sum(r.key.key_id == 1 for r in records)
            assert await usage.oldest(session) == in_order[0][1].time
        assert sum(use.number for use in uses) == sum(r.key.key_id == 1 and r.key.allowed for r in records)
        assert await request_ids(sessions, [1, 150, 230]) == {n: records[n - 1].request_id for n in (1, 150, 230)}
    assert await move(sessions) == 0


async def test_servers_of_both_releases_write_while_decisions_are_moved(sessions: Sessions, empty: str) -> None:
    records = _random(120)
    await _write_as_before(sessions, records[:30])
    await upgrade(empty)
    writer = DecisionWriter(sessions)

    async def write(start: int, *, before: bool) -> None:
        for number in range(start, start + 45, 15):
            part = records[number : number + 15]
            await (_write_as_before(sessions, part) if before else writer.write(Batch.of(part)))

    async def follow() -> list[int]:
        seen: list[int] = []
        last = 0
        while len(seen) < len(records):
            async with sessions() as session:
                rows, last = await following(session, DecisionFilter(), after=last, size=20)
            seen += [row.id for row in rows]
            await asyncio.sleep(0)
        return seen

    async def carry() -> None:
        while sum([await move(sessions, 7) for _ in range(3)]) or not writing.done():
            await asyncio.sleep(0)

    writing = asyncio.gather(write(30, before=True), write(75, before=False))
    async with asyncio.timeout(60):
        seen, _, _ = await asyncio.gather(follow(), carry(), writing)
    assert seen == list(range(1, 121)), "each once, in the order of the commits"
    stored = [record for _, record in await _everything(sessions)]
    assert sorted(stored, key=repr) == sorted(records, key=repr)
    async with sessions() as session:
        assert await newest_id(session) == 120
        assert await session.scalar(text("SELECT count(*) FROM decisions")) == 0


async def test_a_move_that_is_interrupted_moves_nothing_and_goes_on_later(sessions: Sessions, empty: str) -> None:
    records = _random(40)
    await _write_as_before(sessions, records)
    await upgrade(empty)
    before = await _everything(sessions)
    refuse, allow = (
        ("CREATE TRIGGER kept BEFORE DELETE ON decisions BEGIN SELECT RAISE(ABORT, 'kept'); END", "DROP TRIGGER kept")
        if empty.startswith("sqlite")
        else (
            "ALTER TABLE decision_rows ADD CONSTRAINT kept CHECK (id <> 20)",
            "ALTER TABLE decision_rows DROP CONSTRAINT kept",
        )
    )
    async with sessions() as session:
        await session.execute(text(refuse))
        await session.commit()
    with pytest.raises(BatchNotStored, match="kept"):
        await move(sessions)
    assert await _everything(sessions) == before
    async with sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM decision_rows")) == 0
        await session.execute(text(allow))
        await session.commit()
    assert await move(sessions) == 40
    assert await _everything(sessions) == before


async def test_a_restore_while_decisions_are_moved_does_not_mix_up_callers(
    sessions: Sessions, empty: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The id of a lost key is given to another, while the task that moves decisions goes on."""
    monkeypatch.setattr(decision_carrying, "_EVERY_SECONDS", 0.01)
    await upgrade(empty)
    lost, live, moved = (varied(RECORD, subject=name, at=NOW, request_id=name) for name in "abc")
    moved = moved._replace(key=lost.key)

    async def move_all() -> None:
        async with asyncio.timeout(30), sessions() as session:
            while await session.scalar(text("SELECT count(*) FROM decisions")):
                await session.rollback()
                await asyncio.sleep(0.01)

    stop = asyncio.Event()
    moving = asyncio.create_task(run_carrying(sessions, DiskSpace(empty, 0), stop))
    await _write_as_before(sessions, [lost])
    await move_all()
    async with sessions() as session:
        for table in ("decision_rows", *KEY_TABLES):
            await session.execute(text(f"DELETE FROM {table}"))
        for table in KEY_TABLES:
            restart = (
                f"UPDATE sqlite_sequence SET seq = 0 WHERE name = '{table}'"
                if empty.startswith("sqlite")
                else f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)"
            )
            await session.execute(text(restart))
        await session.commit()
    await DecisionWriter(sessions).write(Batch.of([live]))
    await _write_as_before(sessions, [moved])
    await move_all()
    stop.set()
    await moving
    assert sorted(record for _, record in await _everything(sessions)) == [live, moved]


async def test_a_kill_while_decisions_are_moved_loses_none(sessions: Sessions, empty: str) -> None:
    records = _random(600)
    await _write_as_before(sessions, records)
    await upgrade(empty)
    program = f"""
import asyncio
from app.db.decision_carrying import move
from app.db.engine import open_engine
from app.db.session import sessions_of

async def main() -> None:
    sessions = sessions_of(open_engine({empty!r}))
    while await move(sessions, 20):
        print("moved", flush=True)
    await asyncio.sleep(60)

asyncio.run(main())
"""
    before = await _everything(sessions)
    for lines in (1, 4):
        moving = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert moving.stdout
        for _ in range(lines):
            assert moving.stdout.readline() == "moved\n"
        moving.kill()
        moving.stdout.close()
        moving.wait()
        assert await _everything(sessions) == before
        async with sessions() as session:
            moved = await session.scalar(text("SELECT count(*) FROM decision_rows"))
            left = await session.scalar(text("SELECT count(*) FROM decisions"))
        assert moved is not None
        assert moved >= 20 * lines
        assert moved + (left or 0) == 600


async def test_old_decisions_of_both_tables_are_deleted(sessions: Sessions, empty: str) -> None:
    records = _random(30)
    await _write_as_before(sessions, records[:20])
    await upgrade(empty)
    assert await move(sessions, 10) == 10
    await DecisionWriter(sessions).write(Batch.of(records[20:]))
    old = OldDecisions(sessions)
    day = 86_400 * 1_000_000
    assert await old.delete_before(NOW + 2 * day, 25) == 25
    assert await old.delete_before(NOW + 2 * day, 25) == 5
    assert await old.delete_keys_before(datetime(2100, 1, 1, tzinfo=UTC).date()) > 0
    async with sessions() as session:
        for table in ("keys", "callers", "targets", "outcomes", "rows"):
            assert await session.scalar(text(f"SELECT count(*) FROM decision_{table}")) == 0

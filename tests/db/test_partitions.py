"""Daily partitions of the decision log: upgrade, creation ahead of time, and dropping without long locks."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import insert, text

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BatchNotStored
from app.audit.record import Record
from app.db.compact_ids import compact
from app.db.decision_times import DAY
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything
from app.db.engine import open_engine
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.partitions import AHEAD_DAYS, Partition, partitions
from app.db.session import Sessions, sessions_of
from app.db.tables.base import table_of
from app.db.tables.decisions import _FILTERS, LoggedDecision
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN
from tests.support.databases import upgrade_to

pytestmark = pytest.mark.anyio

BEFORE = "0005"  # the last revision without partitions
NOW = datetime.now(UTC)
TODAY = int(NOW.timestamp()) * 1_000_000 // DAY * DAY
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)


async def _run(sessions: Sessions, statement: str) -> list[tuple[Any, ...]]:
    async with sessions() as session:
        done = await session.execute(text(statement))
        rows = [tuple(row) for row in done.all()] if done.returns_rows else []  # type: ignore[attr-defined]  # of a cursor
        await session.commit()
    return rows


async def _partitions(sessions: Sessions, table: str = "decision_rows") -> list[Partition]:
    async with sessions() as session:
        return list(await (await session.connection()).run_sync(partitions, table))


async def _table(sessions: Sessions, request_id: str) -> str:
    """The table that holds the decision of a request."""
    data = compact(request_id).hex()
    statement = f"SELECT tableoid::regclass::text FROM decision_rows WHERE request_id = '\\x{data}'::bytea"
    ((name,),) = await _run(sessions, statement)
    return str(name)


async def _logged(sessions: Sessions) -> list[tuple[int, Record]]:
    return [
        (row.id, row.record) async for rows in everything(sessions, DecisionFilter(until=TODAY * 2)) for row in rows
    ]


def _of(days: float, request_id: str = "r") -> Record:
    """A decision some days from the beginning of today."""
    return varied(PLAIN, at=TODAY + int(days * DAY), request_id=request_id)


async def _write_as_before(sessions: Sessions, records: list[Record]) -> None:
    """Write row by row, as the version without partitions does."""
    rows = [
        {**record._asdict(), **record.key._asdict(), "missing": "", "grant_set_id": None}  # fields
        for record in records
    ]
    for row in rows:
        del row["grants"], row["key"], row["times"]
    async with sessions() as session:
        await session.execute(insert(table_of(LoggedDecision)), rows)
        await session.commit()


async def test_the_upgrade_to_partitions_keeps_decisions_and_ids(empty: str) -> None:
    await upgrade_to(empty, BEFORE)
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    await _write_as_before(sessions, [_of(-40), _of(-0.5), _of(0.01), _of(3.5), _of(900)])
    await upgrade(empty)
    assert [row_id for row_id, _ in await _logged(sessions)] == [1, 2, 3, 4, 5]
    await DecisionWriter(sessions).write(Batch.of([_of(0.02), _of(1.2), _of(901)]))
    assert [row_id for row_id, _ in await _logged(sessions)] == [1, 2, 3, 6, 7, 4, 5, 8]
    await engine.dispose()


@on_postgresql
async def test_the_previous_version_keeps_writing_during_the_upgrade_to_partitions(empty: str) -> None:
    await upgrade_to(empty, BEFORE)
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    wrote = 0
    stop = asyncio.Event()

    async def work() -> None:
        nonlocal wrote
        while not stop.is_set():
            await _write_as_before(sessions, [_of(0.5 + wrote / 1e6)] * 5)
            wrote += 5
            assert len(await _run(sessions, "SELECT * FROM decisions ORDER BY at DESC, id DESC LIMIT 5")) == 5

    working = [asyncio.create_task(work()) for _ in range(3)]
    while wrote < 50:
        await asyncio.sleep(0.01)
    await upgrade(empty)
    before = wrote
    while wrote < before + 50:
        await asyncio.sleep(0.01)
    stop.set()
    await asyncio.gather(*working)
    assert await _run(sessions, "SELECT count(*), count(DISTINCT id) FROM decisions") == [(wrote, wrote)]
    assert (await _partitions(sessions, "decisions"))[0].name == "decisions_before", "today stays there"
    indexes = await _run(sessions, "SELECT indexname FROM pg_indexes WHERE tablename = 'decisions_before' ORDER BY 1")
    assert [name for (name,) in indexes] == sorted(
        [f"ix_decisions_before_{name}at_id" for name in ("", *(f"{column}_" for column in _FILTERS))]
        + ["pk_decisions_before"]
    ), "only that of the key is replaced"
    await engine.dispose()


@on_postgresql
async def test_partitions_are_created_ahead_once(sessions: Sessions) -> None:
    old = OldDecisions(sessions)
    for now in (NOW, NOW + timedelta(days=2), NOW + timedelta(days=20)):
        await asyncio.gather(*(old.make_ready(now) for _ in range(3)))
        bounds = [(part.start, part.end) for part in await _partitions(sessions)]
        today = int(now.timestamp() * 1_000_000) // DAY * DAY
        assert {(today + n * DAY, today + (n + 1) * DAY) for n in range(AHEAD_DAYS + 1)} <= set(bounds)
        assert len(bounds) == len(set(bounds))
    await DecisionWriter(sessions).write(Batch.of([_of(0.5, "today"), _of(1, "tomorrow")]))
    assert await _table(sessions, "today") == f"decision_rows_{NOW:%Y%m%d}"
    assert await _table(sessions, "tomorrow") == f"decision_rows_{NOW + timedelta(days=1):%Y%m%d}"


@on_postgresql
async def test_a_day_without_a_partition_is_written_and_deleted_in_time(sessions: Sessions) -> None:
    old, writer = OldDecisions(sessions), DecisionWriter(sessions)
    await writer.write(Batch.of([_of(20.3, "early"), _of(-3, "late")]))
    assert {await _table(sessions, name) for name in ("early", "late")} == {"decision_rows_default"}
    await old.make_ready(NOW + timedelta(days=20))
    names = {part.name for part in await _partitions(sessions)}
    assert f"decision_rows_{NOW + timedelta(days=20):%Y%m%d}" not in names, "rows of the default partition stay there"
    assert f"decision_rows_{NOW + timedelta(days=21):%Y%m%d}" in names
    await writer.write(Batch.of([_of(20.4, "later")]))
    assert await _table(sessions, "later") == "decision_rows_default"
    assert await old.delete_before(TODAY + 20 * DAY + 1, 10) == 1, "of the previous days"
    assert await old.delete_before(TODAY + 21 * DAY, 1) == 1
    assert [record.request_id for _, record in await _logged(sessions)] == ["later"]


@on_postgresql
async def test_a_partition_is_dropped_when_all_of_it_is_too_old(sessions: Sessions) -> None:
    old = OldDecisions(sessions)
    await DecisionWriter(sessions).write(Batch.of([_of(0, "first"), _of(0.999, "last"), _of(1, "next")]))
    assert not await old.drop_day_before(TODAY + DAY - 1)
    assert await old.delete_before(TODAY + DAY - 1, 10) == 0
    assert len(await _logged(sessions)) == 3
    assert await old.drop_day_before(TODAY + DAY)
    assert [record.request_id for _, record in await _logged(sessions)] == ["next"]
    assert (await _partitions(sessions))[0].start == TODAY + DAY
    assert not await old.drop_day_before(TODAY + DAY)


@on_postgresql
async def test_older_decisions_are_deleted_by_row_and_their_table_at_last(empty: str) -> None:
    await upgrade_to(empty, BEFORE)
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    await _write_as_before(sessions, [_of(-3.5, "old"), _of(-1.5, "young"), _of(0.1, "today")])
    await upgrade(empty)
    old = OldDecisions(sessions)
    assert (await old.drop_day_before(TODAY - 2 * DAY), await old.delete_before(TODAY - 2 * DAY, 10)) == (0, 1)
    assert [record.request_id for _, record in await _logged(sessions)] == ["young", "today"]
    assert [await old.drop_day_before(TODAY + DAY) for _ in range(3)] == [True, True, False], "of both tables"
    assert await _logged(sessions) == []
    await engine.dispose()


@on_postgresql
async def test_dropping_a_partition_waits_for_a_long_read_for_a_bounded_time(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.old_decisions._LOCK_SECONDS", 0.2)
    old, writer = OldDecisions(sessions), DecisionWriter(sessions)
    await writer.write(Batch.of([_of(0.5)]))
    async with sessions() as reading:
        await reading.execute(text("SELECT count(*) FROM decision_rows"))
        dropping = asyncio.create_task(old.drop_day_before(TODAY + DAY))
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            await writer.write(Batch.of([_of(1.5)]))
        with pytest.raises(BatchNotStored, match="lock timeout"):
            await dropping
        with pytest.raises(BatchNotStored, match="lock timeout"):
            await old.make_ready(NOW + timedelta(days=9))
    assert await old.drop_day_before(TODAY + DAY)
    assert len(await _logged(sessions)) == 1


async def test_the_upgrade_creates_the_due_partitions(url: str, sessions: Sessions) -> None:
    if url.startswith("postgresql"):
        await _run(sessions, f"DROP TABLE decision_rows_{NOW + timedelta(days=2):%Y%m%d}")
    await upgrade(url)
    days = AHEAD_DAYS + 1 if url.startswith("postgresql") else 0
    assert len(await _partitions(sessions)) == days


@on_postgresql
async def test_a_cancelled_batch_is_logged_and_retried(url: str) -> None:
    engine = open_engine(url, timeout_seconds=1)
    sessions, others = sessions_of(engine), open_engine(url)
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of([_of(0.5)]))
    async with others.connect() as other:
        await other.execute(text("LOCK TABLE decision_rows"))
        with pytest.raises(BatchNotStored, match="TimeoutError"):
            await writer.write(Batch.of([_of(0.5)] * 3))
        patient = open_engine(url, timeout_seconds=60)
        writing = asyncio.create_task(DecisionWriter(sessions_of(patient)).write(Batch.of([_of(0.5)] * 3)))
        # What waits for the lock; at first this may still be the cancelled batch.
        cut = text(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE wait_event_type = 'Lock' AND datname = current_database()"
        )
        async with asyncio.timeout(30):
            while not writing.done():
                # A new transaction each time, since PostgreSQL shows the activity as of the first query in one.
                async with others.begin() as third:
                    await third.execute(cut)
                await asyncio.sleep(0.01)
        with pytest.raises(BatchNotStored):
            await writing
        await patient.dispose()
    await writer.write(Batch.of([_of(0.5)] * 3))
    assert await _run(sessions, "SELECT count(*) FROM decision_rows") == [(4,)]
    await others.dispose()
    await engine.dispose()

"""Indexes of PostgreSQL that are rebuilt after a day, while the log is read and written."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BatchNotStored
from app.audit.record import Record
from app.db.decision_times import DAY
from app.db.decision_writer import DecisionWriter
from app.db.decisions import page
from app.db.old_decisions import OldDecisions
from app.db.session import Sessions
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN

pytestmark = [pytest.mark.anyio, pytest.mark.parametrize("kind", ["postgresql"], indirect=True)]

NOW = datetime.now(UTC)
TODAY = int(NOW.timestamp()) * 1_000_000 // DAY * DAY
SIZE = "SELECT pg_relation_size('{}')"
COMMENTED = "SELECT indexrelid::regclass::text FROM pg_index WHERE obj_description(indexrelid, 'pg_class') IS NOT NULL"


def _records(days: int, count: int) -> list[Record]:
    """Decisions of some days ago, with keys in no order."""
    draw = random.Random(days)
    return [
        varied(PLAIN, at=TODAY - days * DAY + n, request_id=f"r{days}-{n}", subject=f"user_{draw.randrange(700)}")
        for n in range(count)
    ]


async def _all(sessions: Sessions, statement: str) -> list[Any]:
    async with sessions() as session:
        return list((await session.execute(text(statement))).scalars())


async def _filled(sessions: Sessions, *days: int) -> OldDecisions:
    old, writer = OldDecisions(sessions), DecisionWriter(sessions)
    for day in days:
        await old.make_ready(NOW - timedelta(days=day))
    for day in days:
        records = _records(day, 2_000)
        for start in range(0, len(records), 100):
            await writer.write(Batch.of(records[start : start + 100]))
    return old


def _index(days: int) -> str:
    return f"decision_rows_{NOW - timedelta(days=days):%Y%m%d}_decision_key_id_idx"


async def test_the_index_of_a_day_is_rebuilt_once_after_it(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.db.past_days._LATE", timedelta())
    monkeypatch.setattr("app.db.past_days._MIN_KEYS_BYTES", 0)
    old = await _filled(sessions, 3, 2, 0)
    before = {days: await _all(sessions, SIZE.format(_index(days))) for days in (3, 2, 0)}
    assert [await old.release_space() for _ in range(12)].count(True) in (3, 4), "each partition of a past day"
    assert not await old.release_space()
    after = {days: await _all(sessions, SIZE.format(_index(days))) for days in (3, 2, 0)}
    assert after[3] < before[3]
    assert after[2] < before[2]
    assert after[0] == before[0]
    rebuilt = await _all(sessions, COMMENTED)
    assert {_index(3), _index(2), "pk_decision_keys"} <= set(rebuilt)
    assert _index(0) not in rebuilt
    async with sessions() as session:
        found = await page(session, DecisionFilter(subject="user_7"), size=50)
    expected = [record for days in (0, 2, 3) for record in _records(days, 2_000) if record.key.subject == "user_7"]
    assert {row.record.request_id for row in found.rows} == {record.request_id for record in expected}
    await DecisionWriter(sessions).write(Batch.of(_records(2, 50)))
    assert not await old.release_space(), "a late decision is no reason to rebuild again"


async def test_a_rebuild_waits_for_a_long_read_for_a_bounded_time(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.past_days._LOCK_SECONDS", 0.1)
    monkeypatch.setattr("app.db.past_days._LATE", timedelta())
    old = await _filled(sessions, 1)
    async with sessions() as reading:
        await reading.execute(text("SELECT count(*) FROM decision_rows"))
        with pytest.raises(BatchNotStored, match="lock timeout"):
            await old.release_space()
    assert await old.release_space()


async def test_what_is_too_large_is_left(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MAX_DAY_BYTES", "MAX_KEYS_BYTES"):
        monkeypatch.setattr(f"app.db.past_days.{name}", 1_000)
    monkeypatch.setattr("app.db.past_days._MIN_KEYS_BYTES", 0)
    old = await _filled(sessions, 1)
    assert not await old.release_space()
    assert await _all(sessions, COMMENTED) == []

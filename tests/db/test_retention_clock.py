"""Retention by the clock of the database: what a process whose clock is wrong deletes, and how much at a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Self

import pytest
from sqlalchemy import text

from app.audit import retention
from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.retention import run_retention
from app.db import console_sessions, database_clock
from app.db.database_clock import ConfirmedClock
from app.db.decision_times import DAY
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything
from app.db.old_decisions import OldDecisions
from app.db.partitions import AHEAD_DAYS, drop_one_before, make_ahead, partitions
from app.db.session import Sessions
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN

pytestmark = pytest.mark.anyio

NOW = time.time_ns() // 1_000
TODAY = NOW // DAY * DAY
on_sqlite = pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)


class ShiftedDatetime(datetime):
    """The clock of a process that is wrong by `shift`."""

    shift = timedelta()

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Self:
        return cls.fromtimestamp(time.time() + cls.shift.total_seconds(), tz)


@pytest.fixture
def shift(monkeypatch: pytest.MonkeyPatch) -> type[ShiftedDatetime]:
    """The clock of this process, by which retention would delete."""
    for module in (retention, database_clock):
        monkeypatch.setattr(module, "datetime", ShiftedDatetime, raising=False)
    return ShiftedDatetime


async def _log(sessions: Sessions, *days: float) -> None:
    """Store decisions of days ago."""
    records = [varied(PLAIN, at=NOW - int(each * DAY), request_id=f"{each}") for each in days]
    await DecisionWriter(sessions).write(Batch.of(records))


async def _left(sessions: Sessions) -> Sequence[float]:
    """How many days ago the decisions were made that are left, the oldest first."""
    since = DecisionFilter(until=NOW + 400 * DAY)
    return [float(row.record.request_id) async for rows in everything(sessions, since) for row in rows]


async def _round(sessions: Sessions, days: int = 30, store: OldDecisions | None = None) -> None:
    """One round of retention: the interval ends with the test's `stop`."""
    stop, store = asyncio.Event(), store or OldDecisions(sessions)
    release = store.release_space

    async def released() -> bool:
        if not await release():
            stop.set()
        return True

    store.release_space = released  # type: ignore[method-assign]  # the last step of a round
    await run_retention(days, stop, store, every_seconds=60)


@pytest.mark.parametrize("days", [40, 31, 400, -40])
async def test_a_process_whose_clock_is_wrong_deletes_nothing_young(
    sessions: Sessions, shift: type[ShiftedDatetime], monkeypatch: pytest.MonkeyPatch, days: int
) -> None:
    await _log(sessions, 29, 20, 10.5, 2, 1, 0.001)
    monkeypatch.setattr(shift, "shift", timedelta(days=days))
    for _ in range(3):
        await _round(sessions)
    assert await _left(sessions) == [29, 20, 10.5, 2, 1, 0.001]


async def test_decisions_of_the_wrong_time_confirm_none(
    sessions: Sessions, shift: type[ShiftedDatetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process whose clock is ahead logs decisions by it."""
    await _log(sessions, 29, 20, 2, 0.001, -39.5, -39.999)
    monkeypatch.setattr(shift, "shift", timedelta(days=40))
    await _round(sessions)
    assert await _left(sessions) == [29, 20, 2, 0.001, -39.5, -39.999]


async def test_a_round_deletes_the_decisions_of_a_day_at_most(sessions: Sessions) -> None:
    made = [*(36.2 - each / 4 for each in range(13)), 10, 1.5, 0.5]
    await _log(sessions, *made)
    kept = [made]
    while kept[-1] != [10, 1.5, 0.5]:
        await _round(sessions)
        kept.append(list(await _left(sessions)))
        gone = kept[-2][: len(kept[-2]) - len(kept[-1])]
        assert gone
        assert len({(NOW - int(each * DAY)) // DAY for each in gone}) == 1
    assert len(kept) in (4, 5)


@on_postgresql
async def test_a_round_drops_one_partition(sessions: Sessions) -> None:
    async with sessions() as session:
        connection = await session.connection()
        for days in (80, 60, 45):
            await connection.run_sync(make_ahead, datetime.now(UTC) - timedelta(days=days))
        await session.commit()
    made = [NOW - TODAY, *(NOW - TODAY + days * DAY - 5 for days in (40, 41, 55))]
    await _log(sessions, *(each / DAY for each in made))

    async def count() -> int:
        async with sessions() as session:
            return len(await (await session.connection()).run_sync(partitions))

    counts, left = [await count()], [4]
    while left[-1] > 1:
        await _round(sessions)
        counts.append(await count())
        left.append(len(await _left(sessions)))
        assert counts[-2] - counts[-1] == 1
        assert left[-2] - left[-1] in (0, 1)


@on_postgresql
async def test_partitions_are_created_by_the_clock_of_the_database(
    sessions: Sessions, shift: type[ShiftedDatetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shift, "shift", timedelta(days=40))
    async with sessions() as session:
        connection = await session.connection()
        while await connection.run_sync(drop_one_before, TODAY + 30 * DAY):
            pass
        await session.commit()
    await _round(sessions)
    async with sessions() as session:
        days = [part.start for part in await (await session.connection()).run_sync(partitions)]
    assert days == [TODAY + ahead * DAY for ahead in range(AHEAD_DAYS + 1)]


@on_sqlite
async def test_after_a_day_of_decisions_the_time_is_confirmed(
    sessions: Sessions, shift: type[ShiftedDatetime], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was off for forty days, on a machine whose clock is right."""
    await _log(sessions, 50, 45, 1, 0.01)
    monkeypatch.setattr(shift, "shift", timedelta(days=0.9))
    for _ in range(3):
        await _round(sessions)
    assert await _left(sessions) == [1, 0.01]


def test_a_confirmed_clock_advances_while_the_process_runs() -> None:
    uptime = 0.0
    clock = ConfirmedClock(lambda: uptime)
    assert clock.read(5 * DAY, None) is None
    assert clock.read(5 * DAY, 3 * DAY) == 3 * DAY
    uptime += 3_600
    hour = DAY // 24
    assert clock.read(5 * DAY + hour, 3 * DAY) == 3 * DAY + hour
    assert clock.read(45 * DAY, 4 * DAY) == 4 * DAY, "the clock of the machine jumps ahead"
    uptime += 86_400
    assert clock.read(46 * DAY, 4 * DAY) == 5 * DAY, "what is confirmed and the uptime"
    assert clock.read(46 * DAY, 45 * DAY) == 45 * DAY
    assert clock.read(6 * DAY, 4 * DAY) == 6 * DAY, "the clock was set back"


async def test_sessions_of_the_console_survive_a_sign_in_by_a_wrong_clock(sessions: Sessions) -> None:
    async def sign_in(name: str, now: datetime) -> None:
        async with sessions() as session:
            await console_sessions.insert(
                session,
                digest=name.encode() * 32,
                subject=name,
                name=name,
                permissions=[],
                now=now,
                expires_at=now + timedelta(hours=1),
            )
            await session.commit()

    async def present() -> Sequence[str]:
        async with sessions() as session:
            return list(await session.scalars(text("SELECT name FROM console_sessions ORDER BY id")))

    now = datetime.now(UTC)
    await sign_in("o", now - timedelta(days=2))
    await sign_in("a", now)
    assert await present() in (["a"], ["o", "a"])
    for number in range(3):
        await sign_in(str(number), now + timedelta(days=40, minutes=number))
    assert await present() in (["a", "0", "1", "2"], ["o", "a", "0", "1", "2"])
    await sign_in("b", now + timedelta(hours=2))
    assert "a" in await present()

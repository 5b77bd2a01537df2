"""What the decision log lost, in a real database."""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace

import pytest

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.drops import DropWindow
from app.audit.log import BatchNotStored, DecisionLog
from app.audit.retention import run_retention
from app.db.decision_drops import DropStore, between
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything
from app.db.disk import FULL, DiskSpace
from app.db.old_decisions import OldDecisions
from app.db.session import Sessions
from app.identity.principal import ANONYMOUS, key_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN

pytestmark = pytest.mark.anyio

SECOND = 1_000_000
NOW = int(time.time()) * SECOND
DENY = Decision(False, Reason.NOT_HELD, "rev", None, ("catalog:read",))


async def stored(sessions: Sessions, since: int | None = None, until: int | None = None) -> list[DropWindow]:
    async with sessions() as session:
        return list(await between(session, since, until))


async def test_a_window_that_goes_on_replaces_itself(sessions: Sessions) -> None:
    store = DropStore(sessions)
    window = DropWindow("known", NOW, NOW + SECOND, 5)
    other = DropWindow("anonymous", NOW - 10 * SECOND, NOW - 9 * SECOND, 2**40)
    await store.write([window, other])
    grown = replace(window, last_at=NOW + 2 * SECOND, count=9)
    await store.write([grown])
    assert await stored(sessions) == [other, grown]
    assert await stored(sessions, since=NOW - 9 * SECOND) == [other, grown]
    assert await stored(sessions, since=NOW - 8 * SECOND) == [grown]
    assert await stored(sessions, until=NOW) == [other]
    assert await stored(sessions, until=NOW + 1) == [other, grown]
    assert await stored(sessions, since=NOW + 3 * SECOND) == []


async def test_nothing_is_stored_on_a_full_disk(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DiskSpace, "shortage", FULL)
    with pytest.raises(BatchNotStored, match="full"):
        await DropStore(sessions, DiskSpace("sqlite:///x")).write([DropWindow("known", NOW, NOW, 1)])
    assert await stored(sessions) == []


async def test_old_windows_are_deleted_with_old_decisions(sessions: Sessions) -> None:
    old = DropWindow("known", NOW - 11 * 86_400 * SECOND, NOW - 10 * 86_400 * SECOND, 5)
    young = DropWindow("known", NOW - 9 * 86_400 * SECOND, NOW - 6 * 86_400 * SECOND, 5)
    await DropStore(sessions).write([old, young])
    if sessions.kw["bind"].dialect.name == "sqlite":
        # A decision of yesterday confirms the time of the machine.
        await DecisionWriter(sessions).write(Batch.of([varied(PLAIN, at=NOW - 26 * 3_600 * SECOND)]))
    stop = asyncio.Event()
    task = asyncio.create_task(run_retention(7, stop, OldDecisions(sessions), every_seconds=0.01))
    async with asyncio.timeout(10):
        while len(await stored(sessions)) > 1:
            await asyncio.sleep(0.01)
    stop.set()
    await task
    assert await stored(sessions) == [young]


async def test_counts_and_losses_add_up_in_the_database(sessions: Sessions) -> None:
    known = key_principal("owner", 7, "live", [])
    writer = DecisionWriter(sessions)
    async with DecisionLog(writer.write, write_drops=DropStore(sessions).write, capacity=40, every_seconds=0.02) as log:
        for number in range(300):
            log.note("app", "/x", "GET", ANONYMOUS, DENY, started=time.perf_counter_ns())
            log.note("app", f"/y/{number}", "GET", known, DENY, started=time.perf_counter_ns())
            if number % 100 == 0:
                await asyncio.sleep(0.05)
    found = [row.record async for rows in everything(sessions, DecisionFilter()) for row in rows]
    assert sum(record.times for record in found if record.key.resource == "/x") == 300
    assert sum(record.key.resource == "/x" for record in found) < 10
    of_known = sum(record.times for record in found if record.key.subject == "owner")
    lost = await stored(sessions)
    assert {window.decision_class for window in lost} == {"known"}
    assert of_known + sum(window.count for window in lost) == 300
    assert log.health.dropped == sum(window.count for window in lost) > 0

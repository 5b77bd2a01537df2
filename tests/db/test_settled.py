"""Readers of the logs go on after a settled id: no row with a smaller id appears later."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from app.audit.actor import FILES
from app.audit.admin_log import AdminFilter
from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.db import admin_actions
from app.db.decision_writer import DecisionWriter
from app.db.decisions import following
from app.db.session import Sessions
from app.db.settled import settled_decision_id, settled_id
from app.db.tables.base import table_of
from app.db.tables.history import AdminAction
from tests.db.records import RECORD, varied
from tests.support.databases import Kind

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 11, 20, 9, tzinfo=UTC)
ACTIONS = table_of(AdminAction)


async def _act(sessions: Sessions, target: str) -> None:
    async with sessions() as session:
        admin_actions.record(session, FILES, "policy.files", target, now=NOW)
        await session.commit()


async def test_an_empty_log_is_settled_up_to_zero(sessions: Sessions) -> None:
    assert await settled_decision_id(sessions) == 0
    assert await settled_id(sessions, ACTIONS) == 0
    assert await settled_id(sessions, ACTIONS, after=7) == 7


async def test_acts_are_settled_when_those_before_them_are(kind: Kind, sessions: Sessions) -> None:
    await _act(sessions, "first")
    assert await settled_id(sessions, ACTIONS) == 1
    if kind == "sqlite":
        return
    async with sessions() as slow:
        admin_actions.record(slow, FILES, "policy.files", "slow", now=NOW)
        await slow.flush()
        await _act(sessions, "fast")
        assert await settled_id(sessions, ACTIONS, after=1, wait_seconds=0.1) == 1
        waiting = asyncio.create_task(settled_id(sessions, ACTIONS, after=1, wait_seconds=30))
        await asyncio.sleep(0.1)
        assert not waiting.done()
        # A transaction that begins later is not waited for.
        async with sessions() as later:
            admin_actions.record(later, FILES, "policy.files", "later", now=NOW)
            await later.flush()
            await slow.commit()
            assert await waiting == 3
    async with sessions() as session:
        found = await admin_actions.following(session, AdminFilter(), after=1, limit=10)
        assert [act.target for act in found] == ["slow", "fast"]


async def test_no_act_of_many_writers_is_skipped(sessions: Sessions) -> None:
    writers = [asyncio.create_task(_writer(sessions, number)) for number in range(4)]
    seen: list[str] = []
    position = 0
    while len(seen) < 40:
        settled = await settled_id(sessions, ACTIONS, after=position)
        async with sessions() as session:
            found = await admin_actions.following(session, AdminFilter(), after=position, limit=1_000)
        seen += [act.target for act in found if act.id <= settled]
        position = settled
    await asyncio.gather(*writers)
    assert sorted(seen) == sorted(f"{number} {act}" for number in range(4) for act in range(10))


async def _writer(sessions: Sessions, number: int) -> None:
    for act in range(10):
        await _act(sessions, f"{number} {act}")


async def test_decisions_are_settled_up_to_the_newest(sessions: Sessions) -> None:
    writers = [DecisionWriter(sessions) for _ in range(3)]
    batch = Batch.of(varied(RECORD, subject=f"user_{number}") for number in range(7))
    writing = asyncio.gather(*(writer.write(batch) for writer in writers for _ in range(5)))
    seen: list[int] = []
    position = 0
    while len(seen) < 105:
        settled = await settled_decision_id(sessions)
        async with sessions() as session:
            rows, _ = await following(session, DecisionFilter(), after=position, size=1_000)
        seen += [row.id for row in rows if row.id <= settled]
        position = settled
    await writing
    assert len(set(seen)) == 105

"""A page of the decision log has all decisions that match, whatever is deleted between its statements."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event, text

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.db.decision_writer import DecisionWriter
from app.db.decisions import LogPosition, newest_id, page
from app.db.engine import open_engine
from app.db.session import Sessions
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN

pytestmark = pytest.mark.anyio

ROWS, DELETED, SIZE = 900, 300, 20
KNOWN = range(270, 540, 30)  # beyond the rows that are compared first, and after what is deleted
STATEMENTS = range(3, 7)  # of a page, after the first one of each table


async def _fill(sessions: Sessions, start: int) -> int:
    """Write a flood with some decisions of a known caller in it; return the id before the first one."""
    records = [
        varied(PLAIN, at=start + n, request_id=f"{n}", subject="user_known" if n in KNOWN else "user_flood")
        for n in range(ROWS)
    ]
    await DecisionWriter(sessions).write(Batch.of(records))
    async with sessions() as session:
        return await newest_id(session) - ROWS


async def _delete(url: str, first: int, last: int) -> None:
    engine = open_engine(url)
    async with engine.begin() as connection:
        await connection.execute(text(f"DELETE FROM decision_rows WHERE id BETWEEN {first} AND {last}"))
    await engine.dispose()


@contextmanager
def _deleting(sessions: Sessions, url: str, statement: int, first: int, last: int) -> Iterator[None]:
    """Delete rows before the statement with this number."""
    engine, sent = sessions.kw["bind"].sync_engine, list[None]()

    def note(*_: object) -> None:
        sent.append(None)
        if len(sent) == statement:
            thread = threading.Thread(target=asyncio.run, args=(_delete(url, first, last),))
            thread.start()
            thread.join()

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield
    finally:
        event.remove(engine, "before_cursor_execute", note)


@pytest.mark.parametrize("newest_first", [False, True])
async def test_no_decision_is_missed_or_there_twice(sessions: Sessions, url: str, newest_first: bool) -> None:
    for statement in STATEMENTS:
        start = NOW + statement * 10 * ROWS
        before = await _fill(sessions, start)
        mark = LogPosition(start + ROWS, 0) if newest_first else LogPosition(start - 1, 0)
        first = before + (ROWS - DELETED + 1 if newest_first else 1)
        filters = DecisionFilter(subject="user_known", since=start, until=start + ROWS)
        with _deleting(sessions, url, statement, first, first + DELETED - 1):
            async with sessions() as session:
                if newest_first:
                    rows = (await page(session, filters, size=SIZE, older_than=mark)).rows
                else:
                    rows = (await page(session, filters, size=SIZE, newer_than=mark)).rows
        found = [int(row.record.request_id) for row in rows]
        is_deleted = [n for n in KNOWN if first <= before + 1 + n < first + DELETED]
        assert sorted({*found, *is_deleted}) == list(KNOWN), statement
        assert len(found) == len(set(found)), statement

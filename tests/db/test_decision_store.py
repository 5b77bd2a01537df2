"""Decisions in a real database: atomic batches, pages, and deletion by age."""

from __future__ import annotations

import asyncio
import gc
import random
import re
import sqlite3
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from app.audit.batch import Batch
from app.audit.decision_filter import DecisionFilter
from app.audit.log import BatchNotStored, DecisionLog
from app.audit.record import Record, StatedGrants, Unverified, grant_set
from app.audit.retention import run_retention
from app.db.decision_times import DAY, END, split_time
from app.db.decision_writer import MAX_LATENCY, DecisionWriter
from app.db.decisions import LoggedRecord, LogPosition, everything, following, newest_id, page
from app.db.old_decisions import OldDecisions
from app.db.session import Sessions
from tests.db.records import RECORD, varied
from tests.support.server import ROOT

pytestmark = pytest.mark.anyio

NOW = int(time.time()) * 1_000_000
PLAIN = varied(
    RECORD,
    at=NOW,
    latency=120,
    subject="user_a",
    resource="/teams",
    reason="a rule allows it",
    rule_place="teams.csv:3",
    rule_text="p, catalog:read, /teams, GET, allow",
    revision="rev1",
    grants=grant_set(frozenset({"catalog:read", "user:user_a"})),
)


WITHOUT_KEY = """
    SELECT count(*) FROM decision_rows AS r WHERE NOT EXISTS (
        SELECT 1 FROM decision_keys AS k JOIN decision_callers AS c ON c.id = k.caller_id
        JOIN decision_targets AS t ON t.id = k.target_id JOIN decision_outcomes AS o ON o.id = k.outcome_id
        WHERE k.id = r.decision_key_id)
"""


async def _all(sessions: Sessions, wanted: DecisionFilter | None = None) -> list[LoggedRecord]:
    return [row async for rows in everything(sessions, wanted or DecisionFilter()) for row in rows]


async def _scalar(sessions: Sessions, question: str) -> object:
    async with sessions() as session:
        return (await session.execute(text(question))).scalar()


def _random(rows: int) -> list[Record]:
    draw = random.Random(5)
    return [
        varied(
            PLAIN,  # Several with the same time, in another order than they are stored.
            at=NOW - draw.randrange(rows // 3) * 1_000_000,
            request_id=f"r{draw.randrange(rows)}",
            token_id=draw.choice([None, "sess_1", "0123abcd"]),
            subject=draw.choice(["user_a", "user_b", ""]),
            method=draw.choice(["jwt", "api_key", "anonymous", None]),
            key_id=draw.choice([None, 1, 2]),
            client_id=draw.choice([None, None, "acme", "https://app.example/client.json"]),
            impersonator=draw.choice([None, None, "user_support"]),
            action=draw.choice(["GET", "POST"]),
            resource=draw.choice(["/teams", "/games", "record:7"]),
            allowed=draw.random() < 0.7,
            missing=draw.choice([(), ("catalog:read", "holdings:read")]),
            rule_place=draw.choice([None, "teams.csv:3"]),
            revision=draw.choice(["rev1", "rev2"]),
            grants=draw.choice([None, PLAIN.key.grants, grant_set(frozenset({"a b"}))]),
        )
        for _ in range(rows)
    ]


def _fits(record: Record, wanted: DecisionFilter) -> bool:
    exact = ("subject", "key_id", "client_id", "resource", "action", "allowed", "revision")
    return (
        all(getattr(wanted, name) in (None, getattr(record.key, name)) for name in exact)
        and wanted.request_id in (None, record.request_id)
        and (wanted.since is None or record.at >= wanted.since)
        and (wanted.until is None or record.at < wanted.until)
    )


async def test_a_record_is_read_unchanged(sessions: Sessions) -> None:
    records = _random(60)
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of(records[:40]))
    await writer.write(Batch.of(records[40:]))
    async with sessions() as session:
        stored, last = await following(session, DecisionFilter(), after=0)
        assert last == await newest_id(session) == stored[-1].id
    assert [varied(row.record, rule_text=None) for row in stored] == [varied(r, rule_text=None) for r in records]
    assert await _scalar(sessions, "SELECT count(*) FROM grant_sets") == 2, "each set is stored once"


WANTED = [
    DecisionFilter(),
    DecisionFilter(subject="user_a"),
    DecisionFilter(subject=""),
    DecisionFilter(key_id=2),
    DecisionFilter(client_id="acme"),
    DecisionFilter(client_id="acme", subject="user_a", allowed=True),
    DecisionFilter(resource="record:7"),
    DecisionFilter(action="POST"),
    DecisionFilter(allowed=False),
    DecisionFilter(allowed=True),
    DecisionFilter(revision="rev2"),
    DecisionFilter(request_id="r7"),
    DecisionFilter(since=NOW - 20_000_000),
    DecisionFilter(until=NOW - 20_000_000),
    DecisionFilter(since=NOW - 30_000_000, until=NOW - 10_000_000),
    DecisionFilter(subject="user_b", allowed=False, revision="rev1", since=NOW - 60_000_000),
    DecisionFilter(key_id=1, action="GET", resource="/games"),
    DecisionFilter(subject="user_unknown"),
]


# How many rows are compared first, for each row of a page and at least.
LIMITS = ((100, 1_000), (0, 3))


async def test_pages_in_both_directions_are_sorted_and_complete(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = _random(60)
    await DecisionWriter(sessions).write(Batch.of(records))
    numbered = list(enumerate(records, 1))
    in_order = sorted(numbered, key=lambda row: (row[1].at, row[0]))
    expected = {wanted: [row_id for row_id, record in in_order if _fits(record, wanted)] for wanted in WANTED}
    for wanted, ids in expected.items():
        assert [row.id for row in await _all(sessions, wanted)] == ids, wanted
    for limits in LIMITS:
        for name, limit in zip(("_COMPARED", "_MIN_COMPARED"), limits, strict=True):
            monkeypatch.setattr(f"app.db.decision_search.{name}", limit)
        for wanted, ids in expected.items():
            await _check_pages(sessions, wanted, ids[::-1], size=15)


async def test_pages_of_many_days_are_sorted_and_complete(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    """Days are written in any order, and some have a partition. Times next to midnight are of different days."""
    draw, today, rows = random.Random(8), NOW // DAY * DAY, list[Record]()
    await OldDecisions(sessions).make_ready(datetime.now(UTC) - timedelta(days=9))
    for days in draw.sample([0, 1, 2, 3, 9, 10, 17, 18, 19, 150, 290], 11):
        start = today - days * DAY
        times = [start, start, start + DAY - 1, *(start + draw.randrange(DAY) for _ in range(9))]
        own = [record._replace(at=at) for record, at in zip(draw.sample(_random(60), 12), times, strict=True)]
        await DecisionWriter(sessions).write(Batch.of(own))
        rows += own
    in_order = sorted(enumerate(rows, 1), key=lambda row: (row[1].at, row[0]))
    for name, limit in (("_COMPARED", 0), ("_MIN_COMPARED", 2), ("_FURTHER", 2)):
        monkeypatch.setattr(f"app.db.decision_search.{name}", limit)
    within = DecisionFilter(allowed=False, since=today - 18 * DAY, until=today + 1)
    for wanted in (*WANTED[1:12:4], WANTED[-3], within):
        ids = [row_id for row_id, record in in_order if _fits(record, wanted)]
        await _check_pages(sessions, wanted, ids[::-1], size=9)


async def _check_pages(sessions: Sessions, wanted: DecisionFilter, newest_first: list[int], size: int = 20) -> None:
    pages: list[list[LoggedRecord]] = []
    position: LogPosition | None = None
    async with sessions() as session:
        while True:
            found = await page(session, wanted, size=size, older_than=position)
            pages.append(list(found.rows))
            assert found.more_newer is (len(pages) > 1)
            if not found.more_older:
                break
            position = found.rows[-1].position
        assert [row.id for rows in pages for row in rows] == newest_first
        for rows, later in zip(reversed(pages[:-1]), reversed(pages[1:]), strict=True):
            found = await page(session, wanted, size=size, newer_than=later[0].position)
            assert list(found.rows) == rows
            assert found.more_older


async def test_a_page_without_rows_still_leads_back(sessions: Sessions) -> None:
    await DecisionWriter(sessions).write(Batch.of([varied(PLAIN, at=NOW + number) for number in range(3)]))
    async with sessions() as session:
        found = await page(session, DecisionFilter(), size=10, older_than=LogPosition(NOW, 1))
        assert (list(found.rows), found.more_newer, found.more_older) == ([], True, False)
        found = await page(session, DecisionFilter(), size=10, newer_than=LogPosition(NOW + 2, 3))
        assert (list(found.rows), found.more_newer, found.more_older) == ([], False, True)


@pytest.mark.parametrize("batches", ["together", "alone"])
async def test_times_are_stored_exactly_as_far_as_the_columns_reach(sessions: Sessions, batches: str) -> None:
    times = [NOW, NOW + 1, END - 1, *([END, END + 1_500_000] if batches == "together" else [])]
    writer = DecisionWriter(sessions)
    for part in [times] if batches == "together" else [[at] for at in times]:
        await writer.write(Batch.of(varied(PLAIN, at=at, latency=2**40, request_id="r") for at in part))
    async with sessions() as session:
        rows = await session.execute(text("SELECT second, microsecond, latency FROM decision_rows ORDER BY id"))
        volumes = await session.execute(text("SELECT day, row_count FROM decision_volumes WHERE row_count > 0"))
        stored = [tuple(row) for row in rows]
        assert stored == [(*split_time(at), MAX_LATENCY) for at in times]
        counts = Counter(at // DAY for at in times)
        assert dict([tuple(row) for row in volumes]) == counts


async def test_an_export_contains_each_decision_once(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.db.decisions.EXPORT_PAGE", 7)
    await DecisionWriter(sessions).write(Batch.of(_random(50)))
    rows = await _all(sessions)
    assert sorted(row.id for row in rows) == list(range(1, 51))
    assert [row.position for row in rows] == sorted(row.position for row in rows)


async def test_following_finds_each_decision_once(sessions: Sessions) -> None:
    writer = DecisionWriter(sessions)
    last, seen = 0, []
    for number in range(5):
        await writer.write(Batch.of([varied(PLAIN, at=NOW - number, allowed=number % 2 == 0)] * 3))
        async with sessions() as session:
            for _ in range(3):
                rows, last = await following(session, DecisionFilter(allowed=True), after=last, size=2)
                seen += [row.id for row in rows]
    assert seen == [1, 2, 3, 7, 8, 9, 13, 14, 15]


BAD = PLAIN._replace(latency=777)


async def _refuse_bad(sessions: Sessions, kind: str) -> None:
    """Have the table refuse BAD."""
    sqlite = (
        "CREATE TRIGGER refuse BEFORE INSERT ON decision_rows WHEN NEW.latency = 777 "
        "BEGIN SELECT RAISE(ABORT, 'constraint failed'); END"
    )
    async with sessions() as session:
        await session.execute(
            text(sqlite if kind == "sqlite" else "ALTER TABLE decision_rows ADD CHECK (latency <> 777)")
        )
        await session.commit()


async def test_a_batch_is_stored_whole_or_not_at_all(sessions: Sessions, kind: str) -> None:
    await _refuse_bad(sessions, kind)
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of([PLAIN]))
    with pytest.raises(BatchNotStored) as refused:
        await writer.write(Batch.of([PLAIN, varied(PLAIN, grants=grant_set(frozenset({"new"}))), BAD]))
    assert re.search(r"constraint failed|violates check constraint", str(refused.value))
    assert "user_a" not in str(refused.value), "values are private"
    assert await _scalar(sessions, "SELECT count(*) FROM decision_rows") == 1
    assert await _scalar(sessions, "SELECT count(*) FROM grant_sets") == 1
    await writer.write(Batch.of([varied(PLAIN, grants=grant_set(frozenset({"new"})))]))
    assert (await _all(sessions))[-1].record.key.grants == grant_set(frozenset({"new"}))


async def test_a_long_batch_pauses_between_statements_and_is_stored_completely_or_not_at_all(
    sessions: Sessions, kind: str
) -> None:
    await _refuse_bad(sessions, kind)
    pauses = 0

    async def between_statements() -> None:
        nonlocal pauses
        pauses += 1
        assert await _scalar(sessions, "SELECT count(*) FROM decision_rows") == 0, (
            "stored decisions are visible at the end"
        )

    records = [varied(record, at=NOW + number) for number, record in enumerate(_random(1200))]
    writer = DecisionWriter(sessions, between_statements=between_statements)
    with pytest.raises(BatchNotStored):
        await writer.write(Batch.of([*records, BAD]))
    assert pauses >= 4
    await writer.write(Batch.of(records))
    async with sessions() as session:
        stored, _ = await following(session, DecisionFilter(), after=0, size=2000)
    assert [varied(row.record, rule_text=None) for row in stored] == [varied(r, rule_text=None) for r in records]


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_a_locked_database_delays_the_log_and_loses_nothing(sessions: Sessions, url: str) -> None:
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of([PLAIN]))
    async with sessions() as session:  # the next connection of the pool
        await session.execute(text("PRAGMA busy_timeout = 20"))
    async with DecisionLog(writer.write, every_seconds=0.01) as log:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            log.note("app", "/x", "GET", None, Unverified("Invalid token.", "rev"), started=time.perf_counter_ns())
            async with asyncio.timeout(10):
                while log.health.failures < 2:
                    await asyncio.sleep(0.01)
            assert log.health.error == "OperationalError: database is locked"
            other.execute("ROLLBACK")
        async with asyncio.timeout(10):
            while log.health.written < 1:
                await asyncio.sleep(0.01)
    assert log.health.dropped == 0
    assert log.health.error is None
    assert await _scalar(sessions, "SELECT count(*) FROM decision_rows") == 2


async def test_only_old_decisions_are_deleted(sessions: Sessions) -> None:
    day = 86_400 * 1_000_000
    old, young = grant_set(frozenset({"old"})), grant_set(frozenset({"young"}))
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of([varied(PLAIN, at=NOW - 11 * day - n, grants=old) for n in range(1_005)]))
    times = [NOW - 6 * day + n for n in range(9)] + [NOW - day - day // 10]
    await writer.write(Batch.of([varied(PLAIN, at=at, grants=young) for at in times]))
    stop = asyncio.Event()
    keeping = asyncio.create_task(run_retention(7, stop, OldDecisions(sessions), every_seconds=0.01))
    async with asyncio.timeout(10):
        while await _scalar(sessions, "SELECT count(*) FROM grant_sets") != 1:
            await asyncio.sleep(0.01)
    stop.set()
    await keeping
    assert [row.record.key.grants for row in await _all(sessions)] == [young] * 10


async def test_a_used_grant_set_outlives_its_first_decisions(sessions: Sessions) -> None:
    writer = DecisionWriter(sessions)
    held = grant_set(frozenset({"lasting"}))
    day = 86_400 * 1_000_000
    await writer.write(Batch.of([varied(PLAIN, at=NOW - 40 * day, grants=held)]))
    await writer.write(Batch.of([varied(PLAIN, at=NOW, grants=held)]))
    old = OldDecisions(sessions)
    await old.delete_before(NOW - 30 * day, 1_000)
    assert await old.delete_keys_before(datetime.now(UTC).date() - timedelta(days=31)) == 0
    assert [row.record.key.grants for row in await _all(sessions)] == [held]
    assert await old.delete_keys_before(date(2200, 1, 1)) == 1
    assert [row.record.key.grants for row in await _all(sessions)] == [None], "unknown, and no error"


async def test_the_cache_of_keys_is_bounded_in_bytes(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("app.db.decision_keys.MAX_CACHED_BYTES", 100_000)
    writer = DecisionWriter(sessions)
    await writer.write(Batch.of([PLAIN]))
    gc.collect()
    tracemalloc.start()
    try:
        for number in range(3):
            await writer.write(Batch.of([varied(PLAIN, subject=f"u{number}-{each}") for each in range(300)]))
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert kept < 500_000, "900 keys with short names would take three times as much"


async def test_a_cached_key_that_retention_deleted_is_stored_again(sessions: Sessions) -> None:
    writer = DecisionWriter(sessions)
    late = varied(PLAIN, at=NOW - 40 * 86_400 * 1_000_000)  # by a process whose clock is slow
    for _ in range(2):
        await writer.write(Batch.of([late]))
        assert await _scalar(sessions, "SELECT count(*) FROM decision_keys") == 1
        assert await _scalar(sessions, WITHOUT_KEY) == 0
        old = OldDecisions(sessions)
        assert await old.delete_keys_before(datetime.now(UTC).date()) == 1, "the grant set; a key with rows stays"
        assert await old.delete_before(NOW - 30 * 86_400 * 1_000_000, 10) == 1
        assert await old.delete_keys_before(datetime.now(UTC).date()) == 4


async def test_writers_and_retention_at_once_leave_no_row_without_its_key(sessions: Sessions) -> None:
    """Each writer has few subjects, whose keys are old and deleted again and again."""
    old = OldDecisions(sessions)
    ends = asyncio.Event()

    async def write(number: int) -> None:
        writer = DecisionWriter(sessions)
        for each in range(15):
            late = varied(PLAIN, at=NOW - 40 * 86_400 * 1_000_000, subject=f"user_{number}_{each % 2}")
            await writer.write(Batch.of([late] * 3))

    async def tidy() -> None:
        while not ends.is_set():
            await old.delete_before(NOW - 30 * 86_400 * 1_000_000, 4)
            await old.delete_keys_before(datetime.now(UTC).date())
            assert await _scalar(sessions, WITHOUT_KEY) == 0

    tidying = asyncio.create_task(tidy())
    await asyncio.gather(*(write(number) for number in range(3)))
    ends.set()
    await tidying
    assert await _scalar(sessions, WITHOUT_KEY) == 0


async def test_two_writers_share_their_grant_sets(sessions: Sessions) -> None:
    first, second = DecisionWriter(sessions), DecisionWriter(sessions)
    await asyncio.gather(*(writer.write(Batch.of([PLAIN] * 20)) for writer in (first, second) for _ in range(5)))
    grants: Sequence[StatedGrants | None] = [row.record.key.grants for row in await _all(sessions)]
    assert grants == [PLAIN.key.grants] * 200


async def test_written_decisions_survive_a_kill(sessions: Sessions, url: str) -> None:
    """The process of the writer is killed as soon as it reports a stored batch."""
    program = f"""
import asyncio, sys
from app.db.decision_writer import DecisionWriter
from app.db.engine import open_engine
from app.db.session import sessions_of
from tests.db.test_decision_store import PLAIN, Batch

async def main() -> None:
    writer = DecisionWriter(sessions_of(open_engine({url!r})))
    while True:
        await writer.write(Batch.of([PLAIN] * 50))
        print("stored", flush=True)

asyncio.run(main())
"""
    acknowledged = 0
    for _ in range(2):
        writing = subprocess.Popen([sys.executable, "-c", program], cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert writing.stdout
        for _ in range(4):
            assert writing.stdout.readline() == "stored\n"
            acknowledged += 50
        writing.kill()
        acknowledged += 50 * len(writing.stdout.read().splitlines())
        writing.stdout.close()
        writing.wait()
        count = await _scalar(sessions, "SELECT count(*) FROM decision_rows")
        assert isinstance(count, int)
        assert count >= acknowledged
        assert count % 50 == 0, "a batch is stored completely or not at all"
        assert await _scalar(sessions, WITHOUT_KEY) == 0
        acknowledged = count


TABLES_OF_KEYS = ("decision_keys", "decision_callers", "decision_targets", "decision_outcomes", "grant_sets")
LIVE = (
    {"subject": "user_b"},
    {"resource": "/other"},
    {"allowed": False},
    {"grants": None},
    {"grants": grant_set(frozenset({"env:test"}))},
    {"subject": "user_b", "grants": grant_set(frozenset({"env:test"}))},
)


@pytest.mark.parametrize("is_own", [False, True], ids=["of another process", "of this process"])
@pytest.mark.parametrize("values", LIVE, ids=" ".join)
async def test_an_id_that_was_given_to_another_key_is_not_used(
    sessions: Sessions, kind: str, values: dict[str, Any], is_own: bool
) -> None:
    """After a restore that the process has not noticed yet, an id exists but belongs to what is stored since."""
    writer, other = DecisionWriter(sessions), DecisionWriter(sessions)
    live, later = varied(PLAIN, **values), varied(PLAIN, action="DELETE")
    await writer.write(Batch.of([PLAIN]))
    async with sessions() as session:
        for table in ("decision_rows", *TABLES_OF_KEYS):
            await session.execute(text(f"DELETE FROM {table}"))
        for table in TABLES_OF_KEYS:
            sqlite = f"UPDATE sqlite_sequence SET seq = 0 WHERE name = '{table}'"
            postgresql = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), 1, false)"
            await session.execute(text(sqlite if kind == "sqlite" else postgresql))
        await session.commit()
    await (writer if is_own else other).write(Batch.of([live]))
    await writer.write(Batch.of([later]))
    both = [PLAIN, live, later]
    await writer.write(Batch.of(both))
    stored = [row.record for row in await _all(sessions)]
    assert sorted(stored, key=repr) == sorted([live, later, *both], key=repr)


async def test_a_restore_does_not_mix_up_grant_sets(sessions: Sessions, kind: str) -> None:
    """The id of a lost set is given to another, while a running process has the old one in its cache."""
    writer, other = DecisionWriter(sessions), DecisionWriter(sessions)
    await writer.write(Batch.of([PLAIN]))
    sqlite = "UPDATE sqlite_sequence SET seq = 0 WHERE name = 'grant_sets'"
    postgresql = "SELECT setval(pg_get_serial_sequence('grant_sets', 'id'), 1, false)"
    async with sessions() as session:
        for statement in (
            "DELETE FROM decision_rows",
            "DELETE FROM decision_keys",
            "DELETE FROM decision_callers",
            "DELETE FROM grant_sets",
            sqlite if kind == "sqlite" else postgresql,
        ):
            await session.execute(text(statement))
        await session.commit()
    await other.write(Batch.of([varied(PLAIN, grants=grant_set(frozenset({"env:test"})))]))
    writer.forget()
    await writer.write(Batch.of([PLAIN]))
    held = [row.record.key.held for row in await _all(sessions)]
    assert sorted(map(sorted, (grants or () for grants in held))) == [["catalog:read", "user:user_a"], ["env:test"]]


async def test_a_request_id_is_found_whether_its_time_or_the_index_finds_it(sessions: Sessions) -> None:
    """Ids of our own, of decisions that were made at once or later, and such ids that a client sends."""
    draw = random.Random(11)
    own = [f"{NOW + number * 300_000:014x}{draw.getrandbits(40):010x}" for number in range(12)]
    delays = [0, 5, 90_000, 1_999_999, 2_000_000, 16_000_000, 20_000_000, 10**9, -1, -(2**24), -(10**9)]
    others = ["abc", "trace-1", "0" * 32, "f" * 24, "0" * 24]
    records = [
        varied(PLAIN, at=NOW + number * 300_000 + delay, request_id=request_id, allowed=number % 2 == 0)
        for number, request_id in enumerate([*own, *others])
        for delay in delays
    ]
    await DecisionWriter(sessions).write(Batch.of(records))
    for request_id in (*own, *others):
        expected = sorted(record.at for record in records if record.request_id == request_id)
        for size in (3, 20):
            async with sessions() as session:
                newest = await page(session, DecisionFilter(request_id=request_id), size=size)
                assert [row.record.at for row in newest.rows] == expected[::-1][:size]
                assert {row.record.request_id for row in newest.rows} == {request_id}
                start = LogPosition(-(2**40), 0)
                oldest = await page(session, DecisionFilter(request_id=request_id), size=size, newer_than=start)
                assert [row.record.at for row in reversed(oldest.rows)] == expected[:size]
        async with sessions() as session:
            stored, _ = await following(session, DecisionFilter(request_id=request_id), after=0)
            assert sorted(row.record.at for row in stored) == expected
            narrowed = DecisionFilter(request_id=request_id, allowed=True, since=NOW)
            found = await page(session, narrowed, size=20)
            assert len(found.rows) == sum(
                record.request_id == request_id and record.key.allowed and record.at >= NOW for record in records
            )


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
@pytest.mark.parametrize("request_id", ["trace-1", f"{NOW:014x}0123456789"], ids=["sent by a caller", "own"])
async def test_an_index_finds_a_request_id(sessions: Sessions, request_id: str) -> None:
    """Without it a page would be right too, but read the whole log. PostgreSQL is in tests/db/test_explained.py."""
    await DecisionWriter(sessions).write(Batch.of([varied(PLAIN, at=NOW, request_id=request_id)]))
    statements = list[tuple[str, Any]]()

    def note(_connection: object, _cursor: object, statement: str, values: Any, *_: object) -> None:
        statements.append((statement, values))

    engine = sessions.kw["bind"].sync_engine
    event.listen(engine, "before_cursor_execute", note)
    async with sessions() as session:
        assert len((await page(session, DecisionFilter(request_id=request_id), size=5)).rows) == 1
    event.remove(engine, "before_cursor_execute", note)
    of_rows = [each for each in statements if "FROM decision_rows" in each[0] and "request_id = " in each[0]]
    assert of_rows
    async with sessions.kw["bind"].connect() as connection:
        for statement, values in of_rows:
            plan = (await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values)).all()
            assert not [step for *_, step in plan if step.startswith("SCAN decision_rows")], plan

"""The decision log with a limit of size: which decisions are deleted, what is left, and how it is recorded."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import Sequence, Set
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import event, text

from app.audit.batch import Batch
from app.audit.decision_class import DECISION_CLASSES, DecisionClass, class_of
from app.audit.decision_filter import DecisionFilter
from app.audit.deletions import LogSize, count_written, run_size_limit
from app.audit.record import Record, grant_set
from app.audit.size_limit import ClassExcess, SizeLimit
from app.db import decision_deletions
from app.db.decision_times import DAY, EPOCH
from app.db.decision_volumes import class_sizes
from app.db.decision_writer import DecisionWriter
from app.db.decisions import everything, newest_id
from app.db.engine import open_engine, sqlite_file
from app.db.limited_log import LimitedLog
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.session import Sessions, sessions_of
from tests.db.records import varied
from tests.db.test_decision_store import PLAIN, WITHOUT_KEY
from tests.support.databases import upgrade_to

pytestmark = pytest.mark.anyio

NOW = time.time_ns() // 1_000
on_postgresql = pytest.mark.parametrize("kind", ["postgresql"], indirect=True)
ORIGINS: dict[DecisionClass, dict[str, Any]] = {
    "known": {"subject": "user_known"},
    "authzen": {"door": "authzen", "subject": "user_asked"},
    "anonymous": {"subject": "", "method": "anonymous", "allowed": False},
}
WITHOUT_ROWS = """
    SELECT (SELECT count(*) FROM decision_keys AS k WHERE NOT EXISTS (
        SELECT 1 FROM decision_rows WHERE decision_key_id = k.id))
    + (SELECT count(*) FROM decision_callers AS c WHERE NOT EXISTS (
        SELECT 1 FROM decision_keys WHERE caller_id = c.id))
    + (SELECT count(*) FROM decision_targets AS t WHERE NOT EXISTS (
        SELECT 1 FROM decision_keys WHERE target_id = t.id))
    + (SELECT count(*) FROM decision_outcomes AS o WHERE NOT EXISTS (
        SELECT 1 FROM decision_keys WHERE outcome_id = o.id))
    + (SELECT count(*) FROM grant_sets AS g WHERE NOT EXISTS (
        SELECT 1 FROM decision_callers WHERE grant_set_id = g.id))
"""


def decision(decision_class: DecisionClass, number: int, **values: Any) -> Record:
    """A decision of a class, with its number as request id."""
    own = {"at": NOW + number, "request_id": f"{decision_class}-{number}"}
    return varied(PLAIN, **(own | ORIGINS[decision_class] | values))


async def write(sessions: Sessions, records: Sequence[Record]) -> None:
    writer = DecisionWriter(sessions)
    for start in range(0, len(records), 500):
        await writer.write(Batch.of(records[start : start + 500]))


async def left(sessions: Sessions) -> Counter[DecisionClass]:
    """The number of decisions of each class in the log."""
    found = Counter[DecisionClass]()
    async for rows in everything(sessions, DecisionFilter(until=NOW + 900 * DAY)):
        found.update(class_of(row.record.key.door, row.record.key.method) for row in rows)
    return found


async def sizes(sessions: Sessions) -> dict[DecisionClass, int]:
    async with sessions() as session:
        return dict(await class_sizes(session))


async def scalar(sessions: Sessions, query: str) -> Any:
    async with sessions() as session:
        return (await session.execute(text(query))).scalar()


async def limit_size(sessions: Sessions, max_bytes: int, log: LimitedLog | None = None) -> Counter[DecisionClass]:
    """Delete until nothing exceeds the limit; return the numbers of what was deleted."""
    log, deleted = log or LimitedLog(sessions), Counter[DecisionClass]()
    attempts = 3  # one of them may correct a wrong count
    while attempts:
        if (deletion := await log.delete_excess(SizeLimit(max_bytes))) is not None:
            deleted[deletion.decision_class] += deletion.count
        else:
            attempts -= 1
    return deleted


@pytest.mark.parametrize(
    ("known", "authzen", "anonymous", "excess"),
    [
        (0, 0, 0, None),
        (800, 0, 0, None),
        (801, 0, 0, ClassExcess("known", 1)),
        (500, 300, 0, None),
        (500, 301, 0, ClassExcess("authzen", 1)),
        (400, 300, 100, None),
        (400, 300, 101, ClassExcess("anonymous", 1)),
        (401, 300, 100, ClassExcess("known", 1)),
        (410, 305, 100, ClassExcess("known", 10)),
        (410, 315, 100, ClassExcess("authzen", 15)),
        (0, 10**12, 10**6, ClassExcess("authzen", 10**12 - 300)),
        (400, 10**12, 10**9, ClassExcess("authzen", 10**12 - 300)),
        (700, 0, 100, None),
        (701, 0, 5_000, ClassExcess("anonymous", 4_900)),
        (701, 0, 100, ClassExcess("known", 1)),
    ],
)
def test_the_class_that_exceeds_its_share_by_most_is_the_largest(
    known: int, authzen: int, anonymous: int, excess: ClassExcess | None
) -> None:
    found: dict[DecisionClass, int] = {"known": known, "authzen": authzen, "anonymous": anonymous}
    assert SizeLimit(800).largest_excess(found) == excess
    assert SizeLimit(0).largest_excess(found) is None


def test_a_flood_takes_nothing_of_the_share_of_another_class() -> None:
    draw = random.Random(3)
    for _ in range(2_000):
        limit = SizeLimit(draw.randrange(1, 10**6))
        found = {name: draw.randrange(10**6) for name in DECISION_CLASSES}
        while (excess := limit.largest_excess(found)) is not None:
            found[excess.decision_class] -= excess.byte_count
        assert sum(found.values()) <= limit.max_bytes
        assert found["authzen"] <= limit.max_bytes * 3 // 8
        assert found["anonymous"] <= limit.max_bytes // 8
        assert limit.of_class("known", found) >= limit.max_bytes // 2


@pytest.mark.parametrize("flood", ["authzen", "anonymous"])
async def test_a_flood_deletes_only_its_own_oldest(sessions: Sessions, flood: DecisionClass) -> None:
    records = [decision(flood, n, resource=f"record:{n}") for n in range(3_000)]
    for number in range(0, 3_000, 30):
        records.insert(number * 31 // 30, decision("known", number))
    await write(sessions, records)
    before = await sizes(sessions)
    share = 3 if flood == "authzen" else 1
    max_bytes = before[flood] * 4 // share
    deleted = await limit_size(sessions, max_bytes)
    assert deleted.keys() == {flood}
    found = await left(sessions)
    assert found == {"known": 100, flood: 3_000 - deleted[flood]}
    assert 1_400 < deleted[flood] < 1_700
    after = await sizes(sessions)
    assert max_bytes * share // 8 * 0.9 < after[flood] <= max_bytes * share // 8
    assert after["known"] == before["known"]
    kept = [
        row.record.request_id
        async for rows in everything(sessions, DecisionFilter(until=NOW + DAY))
        for row in rows
        if row.record.key.door == "authzen" or row.record.key.method == "anonymous"
    ]
    assert kept == [f"{flood}-{n}" for n in range(deleted[flood], 3_000)], "the oldest go first"
    assert await scalar(sessions, WITHOUT_KEY) == 0
    assert await scalar(sessions, WITHOUT_ROWS) == 0, "keys without rows go with them, on the same day"
    assert await limit_size(sessions, max_bytes) == {}
    async with sessions() as session:
        (deletion,) = await decision_deletions.between(session, None, None)
    assert (deletion.decision_class, deletion.count) == (flood, deleted[flood])
    assert (deletion.first_at, deletion.last_at) == (NOW, NOW + deleted[flood] - 1)
    assert abs(deletion.deleted_at - time.time_ns() // 1_000) < 60_000_000
    ids = f"SELECT id FROM decision_rows WHERE id <= {deletion.last_id}"
    assert await scalar(sessions, f"SELECT count(*) FROM ({ids}) AS old") > 0, "of known callers"
    await write(sessions, [decision(flood, 9_000), decision("known", 9_001)])
    assert await left(sessions) == {"known": 101, flood: found[flood] + 1}


async def test_what_is_counted_is_what_is_there(sessions: Sessions) -> None:
    """Rows and bytes by class, over writes, deletion by size and by age, and the move of rows."""
    draw = random.Random(7)
    records = [
        decision(
            draw.choice(DECISION_CLASSES),
            number,
            at=NOW - draw.randrange(40) * DAY,
            resource=f"/r{draw.randrange(300)}",
            token_id=draw.choice([None, "sess_1", "0123456789abcdef0123"]),
            grants=grant_set(frozenset({f"g{draw.randrange(50)}"})),
        )
        for number in range(2_000)
    ]
    await write(sessions, records)
    rows_of_class = """
        SELECT coalesce(sum(row_count), 0) FROM decision_volumes WHERE decision_class = '{}'
    """

    async def check() -> None:
        found = await left(sessions)
        for name in DECISION_CLASSES:
            assert await scalar(sessions, rows_of_class.format(name)) == found[name]
        counted = await sizes(sessions)
        of_keys = await scalar(sessions, "SELECT coalesce(sum(byte_count), 0) FROM decision_keys")
        volumes_of_keys = "SELECT coalesce(sum(byte_count), 0) FROM decision_volumes WHERE day < 0"
        assert await scalar(sessions, volumes_of_keys) == of_keys
        assert all((counted[name] > 0) == (found[name] > 0) for name in DECISION_CLASSES)

    await check()
    await limit_size(sessions, sum((await sizes(sessions)).values()) * 2 // 3)
    assert 1_000 < (await left(sessions)).total() < 1_800
    await check()
    old = OldDecisions(sessions)
    while await old.delete_before(NOW - 30 * DAY, 400) == 400:
        pass
    await old.delete_keys_before(date(2026, 1, 1))
    await check()
    await limit_size(sessions, 1)
    assert await left(sessions) == {}
    await check()
    assert sum((await sizes(sessions)).values()) == 0
    assert await scalar(sessions, WITHOUT_ROWS) == 0


async def test_the_bytes_are_about_those_of_the_database(sessions: Sessions) -> None:
    """Of known callers with ids of our own, of items that differ, and of long ids and grants that clients send."""
    draw = random.Random(3)

    async def used() -> int:
        if sessions.kw["bind"].dialect.name == "sqlite":
            pages = await scalar(sessions, "PRAGMA page_count") - await scalar(sessions, "PRAGMA freelist_count")
            return 4096 * int(pages)
        tables = "relkind = 'r' AND relname ~ '^(decision_(rows|keys|callers|targets|outcomes)|grant_sets)'"
        return int(await scalar(sessions, f"SELECT sum(pg_total_relation_size(oid)) FROM pg_class WHERE {tables}"))

    def known(number: int) -> Record:
        own = {
            "request_id": f"{NOW + number:014x}{draw.getrandbits(40):010x}",
            "token_id": f"{draw.getrandbits(80):020x}",
        }
        return decision("known", number, subject=f"user_{number % 97}", resource=f"/{number % 11}", **own)

    def items(number: int) -> Record:
        return decision("authzen", number, resource=f"record:{number}", request_id=f"{number // 1000:032x}")

    def long(number: int) -> Record:
        grants = grant_set(frozenset({f"{number}-{'x' * draw.randrange(2_000)}"}))
        return decision("authzen", number, request_id=f"{number}{'y' * 100}", grants=grants, subject=f"u{number}")

    for make, count in ((known, 5_000), (items, 3_000), (long, 1_000)):
        before, counted_before = await used(), sum((await sizes(sessions)).values())
        await write(sessions, [make(number) for number in range(count)])
        counted = sum((await sizes(sessions)).values()) - counted_before
        assert 0.75 < (await used() - before) / counted < 1.33, make


async def test_processes_that_delete_at_once_delete_no_more_than_one(sessions: Sessions) -> None:
    await write(sessions, [decision("authzen", n, resource=f"record:{n}") for n in range(4_000)])
    max_bytes = (await sizes(sessions))["authzen"] * 2
    deleted = await asyncio.gather(*(limit_size(sessions, max_bytes) for _ in range(4)))
    share = max_bytes * 3 // 8
    assert share * 0.97 < (await sizes(sessions))["authzen"] <= share
    assert (await left(sessions)).total() == 4_000 - sum(each.total() for each in deleted)


async def test_each_deletion_is_recorded_with_what_it_deletes(sessions: Sessions) -> None:
    """A crash at any time leaves neither a deletion without its record nor the opposite."""
    await write(sessions, [decision("authzen", n) for n in range(2_500)])
    log = LimitedLog(sessions)
    first = await log.delete_excess(SizeLimit(1_000))
    assert first is not None
    assert first.count == 1_000
    assert await scalar(sessions, "SELECT min(id) FROM decision_rows") == first.last_id + 1
    assert await scalar(sessions, "SELECT count FROM decision_deletions") == 1_000
    async with sessions() as session:
        await session.execute(text("UPDATE decision_deletions SET began_at = began_at - 600000000"))
        await session.commit()
    assert await log.delete_excess(SizeLimit(1_000)) is not None
    async with sessions() as session:
        found = await decision_deletions.between(session, None, None)
        assert [each.count for each in found] == [1_000, 1_000], "a record is of ten minutes at most"
        assert [each.last_id for each in found] == [1_000, 2_000]
        assert await decision_deletions.between(session, NOW + 2_000, None) == []
        assert len(await decision_deletions.between(session, NOW + 1_999, None)) == 1
        assert len(await decision_deletions.between(session, None, NOW + 1_000)) == 1
    await OldDecisions(sessions).delete_drops_before(NOW + 1_500)
    assert await scalar(sessions, "SELECT count(*) FROM decision_deletions") == 1, "those of old decisions are deleted"


async def test_a_wrong_count_is_corrected(sessions: Sessions) -> None:
    """Of rows that a server deleted which did not count."""
    await write(sessions, [decision("authzen", n, resource=f"record:{n}") for n in range(30)] + [decision("known", 1)])
    before = await sizes(sessions)
    async with sessions() as session:
        await session.execute(text("DELETE FROM decision_rows WHERE id <= 30"))
        await session.commit()
    log = LimitedLog(sessions)
    for _ in range(2):
        assert await log.delete_excess(SizeLimit(before["authzen"])) is None
    assert await sizes(sessions) == {"known": before["known"], "authzen": 0, "anonymous": 0}
    assert await scalar(sessions, WITHOUT_ROWS) == 0
    assert await left(sessions) == {"known": 1}


async def test_the_oldest_are_found_among_many_of_other_classes(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.db.limited_log._WINDOW", 7)
    long = "x" * 450
    records = [
        decision("known", n) if n % 50 else decision("anonymous", n, resource=f"/{long}{n}", action=long)
        for n in range(500)
    ]
    await write(sessions, records)
    async with sessions() as session:
        await session.execute(text("DELETE FROM decision_rows WHERE id BETWEEN 105 AND 349"))
        await session.commit()
    log = LimitedLog(sessions)
    assert await limit_size(sessions, (await sizes(sessions))["anonymous"] * 6, log) == {"anonymous": 3}
    await write(sessions, [decision("anonymous", 1_000 + n) for n in range(10)])
    assert (await limit_size(sessions, 8, log))["anonymous"] == 13


async def test_the_limit_holds_while_servers_write(sessions: Sessions) -> None:
    stop, size = asyncio.Event(), LogSize(SizeLimit(400_000))
    held = list[Set[DecisionClass]]()
    work = run_size_limit(size, stop, LimitedLog(sessions), held.append, every_seconds=0.02)
    limiting = asyncio.create_task(work)
    store, number = count_written(DecisionWriter(sessions).write, size, held.append), 0
    for _ in range(30):
        batch = [decision("authzen", number + n, resource=f"record:{number + n}") for n in range(200)]
        await store(Batch.of([*batch, decision("known", number)]))
        number += 200
        await asyncio.sleep(0.01)
    async with asyncio.timeout(10):
        while (await sizes(sessions))["authzen"] > 150_000 * 7 / 8:
            await asyncio.sleep(0.02)
        while held[-1]:
            await asyncio.sleep(0.02)
    assert {name for names in held for name in names} == {"authzen"}
    stop.set()
    await limiting
    found = await left(sessions)
    assert found["known"] == 30
    assert size.deleted == {"authzen": number - found["authzen"]}
    assert size.numbers["authzen"].deleted == size.deleted["authzen"]
    assert size.last_deletion is not None
    assert await scalar(sessions, WITHOUT_KEY) == 0
    async with sessions() as session:
        recorded = await decision_deletions.between(session, None, None)
        assert await newest_id(session) == number + 30
    assert sum(each.count for each in recorded) == size.deleted["authzen"]


async def test_a_flood_is_held_as_soon_as_it_has_its_share(sessions: Sessions) -> None:
    """However long the size is not read: the next batch has none of it, and known callers are never held."""
    size, held = LogSize(SizeLimit(400_000)), list[Set[DecisionClass]]()
    write = count_written(DecisionWriter(sessions).write, size, held.append)
    number = 0
    while not (held and held[-1]):
        records = [decision("authzen", number + n, resource=f"record:{number + n}") for n in range(100)]
        await write(Batch.of([*records, decision("known", number)]))
        number += 100
    assert held[-1] == {"authzen"}
    assert size.sizes == await sizes(sessions)
    assert 150_000 * 7 / 8 < size.sizes["authzen"] < 150_000 * 7 / 8 + 100 * 700
    size.is_limited = False
    await write(Batch.of([decision("authzen", number)]))
    assert held[-1] == frozenset(), "while nothing can be deleted, decisions are rather written"


async def test_a_flood_is_held_while_what_was_deleted_takes_its_space() -> None:
    size = LogSize(SizeLimit(80_000), sizes={"known": 0, "authzen": 27_000, "anonymous": 0})
    assert size.exceeding == frozenset()
    size.occupied.update({"authzen": 1_200, "known": 10**6})
    assert size.exceeding == {"authzen"}
    size.occupied["authzen"] = 1_100
    assert size.exceeding == frozenset()


@pytest.mark.parametrize("step", [100, 1_800, 20_000])
@pytest.mark.parametrize("max_bytes", [10, 17, 80_000, 80_007])
async def test_a_flood_is_held_before_a_batch_exceeds_its_share(step: int, max_bytes: int) -> None:
    size = LogSize(SizeLimit(max_bytes))
    share, written = size.limit.of_class("authzen", size.sizes), 0
    while not size.exceeding:
        size.add({"authzen": step, "known": 1})
        written += step
    assert written <= max(share, size.target.of_class("authzen", size.sizes) + step)
    # What deletion leaves is never held: nothing would end that.
    size.sizes = {**size.sizes, "authzen": size.target.of_class("authzen", size.sizes)}
    assert not size.target.largest_excess(size.sizes) or size.sizes["known"]
    assert size.exceeding == frozenset()


async def test_the_size_is_read_while_decisions_are_written_and_else_rarely(sessions: Sessions) -> None:
    """A process without traffic has nothing to do: others look after what they write."""
    size, stop, statements = LogSize(SizeLimit(400_000)), asyncio.Event(), list[str]()
    engine = sessions.kw["bind"].sync_engine
    await write(sessions, [decision("authzen", n, resource=f"record:{n}") for n in range(20)])

    def note(_c: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine, "before_cursor_execute", note)
    work = run_size_limit(size, stop, LimitedLog(sessions), lambda _: None, every_seconds=0.005)
    limiting = asyncio.create_task(work)
    async with asyncio.timeout(10):
        while not size.sizes["authzen"]:
            await asyncio.sleep(0.005)
        before = len(statements)
        await asyncio.sleep(0.1)
        assert len(statements) == before
        size.add({"authzen": 10**6})
        assert size.exceeding
        while size.exceeding:
            await asyncio.sleep(0.005)
    stop.set()
    await limiting
    event.remove(engine, "before_cursor_execute", note)
    assert size.sizes == await sizes(sessions)


@on_postgresql
async def test_the_space_of_deleted_decisions_is_given_back(sessions: Sessions) -> None:
    """Today's partition is filled again, one of an earlier day is rewritten, and one without decisions is dropped."""
    old = OldDecisions(sessions)
    for days in (3, 2, 0):
        await old.make_ready(datetime.now(UTC) - timedelta(days=days))
    past = [decision("authzen", n, at=NOW - 3 * DAY + n, resource=f"record:{n}") for n in range(4_000)]
    mixed = [
        decision("known" if n % 4 == 0 else "authzen", n, at=NOW - 2 * DAY + n, resource=f"record:{n % 50}")
        for n in range(8_000)
    ]
    await write(sessions, [*past, *mixed])
    day = {days: f"decision_rows_{datetime.now(UTC) - timedelta(days=days):%Y%m%d}" for days in (3, 2, 0)}
    size = "SELECT pg_total_relation_size('{}')"
    before = await scalar(sessions, size.format(day[2]))
    log = LimitedLog(sessions)
    await limit_size(sessions, (await sizes(sessions))["known"], log)
    assert (await left(sessions))["known"] > 1_000
    await log.reclaim()
    assert await scalar(sessions, f"SELECT to_regclass('{day[3]}')") is None
    assert await scalar(sessions, size.format(day[2])) < before * 0.4
    known = (await left(sessions))["known"]
    await log.reclaim()
    assert (await left(sessions))["known"] == known
    # Today's partition does not grow, however many decisions go through it.
    largest, number = [], 0
    for _ in range(4):
        await write(sessions, [decision("authzen", number + n, resource=f"record:{number + n}") for n in range(1_500)])
        number += 1_500
        await limit_size(sessions, 1_000_000, log)
        await log.reclaim()
        largest.append(await scalar(sessions, size.format(day[0])))
    assert largest[-1] <= largest[1] * 1.3


async def test_the_upgrade_counts_what_is_stored(empty: str) -> None:
    await upgrade_to(empty, "0018")
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    second, request_id = NOW // 1_000_000 - EPOCH, "X'74000000'" if empty.startswith("sqlite") else "'abcd'"
    day = NOW // DAY
    statements = [
        f"INSERT INTO decision_callers (id, digest, first_day, last_day, subject, method) VALUES {callers}"
        for callers in (f"(1, 'a', {day}, {day}, 'user_a', 'jwt')", f"(2, 'b', {day}, {day}, '', NULL)")
    ]
    statements += [
        f"INSERT INTO decision_targets (id, digest, first_day, last_day, door, action, resource) VALUES {targets}"
        for targets in (
            f"(1, 'a', {day}, {day}, 'app', 'GET', '/x')",
            f"(2, 'b', {day}, {day}, 'authzen', 'GET', '/x')",
        )
    ]
    statements.append(
        "INSERT INTO decision_outcomes (id, digest, first_day, last_day, allowed, reason, missing, revision) "
        f"VALUES (1, 'a', {day}, {day}, false, 'r', '', 'r')"
    )
    statements += [
        f"INSERT INTO decision_keys (id, first_day, last_day, caller_id, target_id, outcome_id) "
        f"VALUES ({number}, {day}, {day}, {caller}, {target}, 1)"
        for number, (caller, target) in enumerate([(1, 1), (1, 2), (2, 1), (2, 2)], 1)
    ]
    statements += [
        "INSERT INTO decision_rows (decision_key_id, second, microsecond, latency, request_id) "
        f"VALUES ({key}, {second}, 0, 1, {request_id})"
        for key in (1, 1, 2, 3, 3, 3, 4)
    ]
    async with sessions() as session:
        for statement in statements:
            await session.execute(text(statement))
        await session.commit()
    await upgrade(empty)
    count = "SELECT row_count FROM decision_volumes WHERE day = {} AND decision_class = '{}'"
    found = {name: await scalar(sessions, count.format(day, name)) for name in DECISION_CLASSES}
    assert found == {"known": 2, "authzen": 2, "anonymous": 3}
    assert await left(sessions) == found
    assert await limit_size(sessions, 1) == found
    assert sum((await sizes(sessions)).values()) == 0
    await engine.dispose()


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)
async def test_the_write_ahead_log_is_emptied_unless_a_reader_needs_it(url: str, sessions: Sessions) -> None:
    file = sqlite_file(url)
    assert file is not None
    log, wal = LimitedLog(sessions), file.with_name(f"{file.name}-wal")
    await write(sessions, [decision("authzen", n, resource=f"record:{n}") for n in range(2_000)])
    assert wal.stat().st_size > 1_000_000
    async with sessions() as reading:
        await reading.execute(text("SELECT count(*) FROM decision_rows"))
        await write(sessions, [decision("known", 1)])
        await log.reclaim()
        assert wal.stat().st_size > 0
        assert await scalar(sessions, "PRAGMA busy_timeout") == 5_000
    await log.reclaim()
    assert wal.stat().st_size == 0
    assert (await left(sessions)).total() == 2_001

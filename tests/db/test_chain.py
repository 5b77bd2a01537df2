"""The hash chain in a real database: what was altered, removed or added is named."""

from __future__ import annotations

import asyncio
import random
import secrets
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from structlog.testing import capture_logs

from app.audit.actor import FILES
from app.audit.admin_log import AdminFilter, Detail
from app.audit.chain.canonical import decision_digest, key_digest
from app.audit.chain.entry import ChainHead
from app.audit.chain.signatures import PublicKeys, SigningKey
from app.audit.decision_filter import DecisionFilter
from app.db import admin_actions, chain_store
from app.db.chain_rows import ChainReader
from app.db.decisions import stored_after
from app.db.engine import open_engine
from app.db.sealing import Sealer
from app.db.session import Sessions, sessions_of
from tests.db.chained import faults, head, run, seal, verify, write
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN, _random
from tests.support.databases import Kind
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio
Copy = Callable[[], Awaitable[Sessions]]

# How each value of a decision is altered; those after the first line are of tables that decisions share.
ALTERED = {
    "decision_rows": "second = second + 1|microsecond = microsecond + 1|latency = latency + 1|"
    "count = coalesce(count, 1) + 1|"
    "decision_key_id = (SELECT max(id) FROM decision_keys WHERE id <> decision_key_id)|token_id = NULL",
    "decision_callers": "subject = 'other'|method = 'other'|key_id = 99|grant_set_id = NULL|"
    "client_id = 'x'|impersonator = 'x'",
    "decision_targets": "door = 'other'|action = 'other'|resource = '/other'",
    "decision_outcomes": "allowed = NOT allowed|reason = 'other'|rule_place = 'x.csv:1'|rule_text = 'p'|missing = 'x'|"
    "revision = 'other'",
    "grant_sets": "grants = '[]'",
}


def _key() -> tuple[SigningKey, PublicKeys]:
    private = Ed25519PrivateKey.generate()
    key = SigningKey(private)
    return key, PublicKeys({key.key_id: private.public_key()})


@pytest.fixture
async def sealed(tmp_path: Path) -> Path:
    """A SQLite file with five sealed segments."""
    file = tmp_path / "sealed.db"
    shutil.copy(prepared_database(), file)
    async with _opened(file) as sessions:
        await write(sessions, _random(100))
        await seal(sessions, rows=20)
    return file


@asynccontextmanager
async def _opened(file: Path) -> AsyncIterator[Sessions]:
    engine = open_engine(f"sqlite:///{file}")
    yield sessions_of(engine)
    await engine.dispose()


@pytest.fixture
async def copy(sealed: Path, tmp_path: Path) -> AsyncIterator[Copy]:
    """Replaces a copy of that file, which an attacker changes. One engine for all compiles each statement once."""
    copied = tmp_path / "copied.db"
    async with _opened(copied) as sessions:

        async def replace() -> Sessions:
            await sessions.kw["bind"].dispose()
            for old in tmp_path.glob(f"{copied.name}*"):
                old.unlink()
            shutil.copy(sealed, copied)
            return sessions

        yield replace


async def _ids(sessions: Sessions, where: str = "true") -> list[int]:
    async with sessions() as session:
        return list(await session.scalars(text(f"SELECT id FROM decision_rows WHERE {where} ORDER BY id")))


async def test_a_sealed_log_verifies(sessions: Sessions) -> None:
    assert await faults(sessions) == await faults(sessions, "admin") == []
    await write(sessions, _random(230))
    found, result = await verify(sessions)
    assert (found, result.unsealed, result.head) == ([], 230, None)
    assert await seal(sessions) == 230
    found, result = await verify(sessions)
    assert (found, result.checked, result.entries, result.unsealed) == ([], 230, 5, 0)
    await write(sessions, _random(7))
    found, result = await verify(sessions)
    assert (found, result.checked, result.unsealed) == ([], 230, 7)
    assert await seal(sessions) == 7
    assert await seal(sessions) == 0
    assert await faults(sessions) == []


@pytest.mark.parametrize("seed", range(2))
async def test_rows_that_are_altered_removed_and_added_are_named(sessions: Sessions, seed: int) -> None:
    draw = random.Random(seed)
    await write(sessions, _random(230))
    await seal(sessions)
    chosen = draw.sample(await _ids(sessions), 12)
    removed, altered, added = chosen[:4], chosen[4:8], chosen[8:]
    wanted = [("removed", row_id) for row_id in removed] + [("altered", row_id) for row_id in altered]
    changes = ALTERED["decision_rows"].split("|")
    for row_id in removed:
        await run(sessions, "DELETE FROM decision_rows WHERE id = :id", id=row_id)
    for row_id in altered:
        change = draw.choice(changes[:4])
        assert await run(sessions, f"UPDATE decision_rows SET {change} WHERE id = :id", id=row_id) == 1
    columns = "decision_key_id, second, microsecond, latency, count, request_id, token_id"
    for row_id, place in zip(added, removed, strict=True):  # copies of rows, in the place of those that were removed
        copied = f"INSERT INTO decision_rows (id, {columns}) SELECT :place, {columns} FROM decision_rows WHERE id = :id"
        if draw.random() < 0.5:
            await run(sessions, copied, id=row_id, place=place)
            wanted.remove(("removed", place))
            wanted.append(("altered", place))
    below = f"INSERT INTO decision_rows (id, {columns}) SELECT -5, {columns} FROM decision_rows WHERE id = :id"
    await run(sessions, below, id=added[0])
    wanted.append(("added", -5))
    assert await faults(sessions) == sorted(wanted)
    found, _ = await verify(sessions)
    for fault in found:
        assert f"row {fault.row_id} of decision_rows" in fault.message
        assert "Z" in fault.message, "its time, or those between which it was"


async def test_rows_have_the_digests_of_their_records(sessions: Sessions) -> None:
    """Rows are hashed as they are stored, whatever the form of their ids."""
    ids = [
        f"{NOW:014x}{7:010x}",
        f"{NOW - 9_000_000:014x}{7:010x}",
        "A1" * 12,
        str(uuid4()),
        secrets.token_hex(10),
        "ü ß",
    ]
    records = [
        record._replace(request_id=ids[n % 9] if n % 9 < 6 else record.request_id)
        for n, record in enumerate(_random(150))
    ]
    records = [
        record._replace(token_id=ids[n % 8], times=n) if n % 8 < 6 else record for n, record in enumerate(records, 1)
    ]
    await write(sessions, records)
    slices = 0

    async def between_slices() -> None:
        nonlocal slices
        slices += 1

    async with sessions() as session:
        stored = await stored_after(session, DecisionFilter(), 0, 200)
        found = await ChainReader("decisions", between_slices=between_slices).page(session, 0, 149, 140)
        rest = await ChainReader("decisions").page(session, found.last_id, 149, 140)
    assert (found.last_id, rest.last_id, slices) == (140, 149, 2), "after 100 new keys, and after 100 rows"
    digests = [decision_digest(row.id, row.record, key_digest(row.record.key)) for row in stored]
    assert [row.digest for row in (*found.rows, *rest.rows)] == digests[:149]
    assert [(row.id, row.at) for row in found.rows] == [(row.id, row.record.at) for row in stored[:140]]


async def test_every_value_of_a_decision_is_covered(copy: Copy) -> None:
    for table, changes in ALTERED.items():
        for change in changes.split("|"):
            copied = await copy()
            assert await run(copied, f"UPDATE {table} SET {change}")
            assert {kind for kind, _ in await faults(copied)} == {"altered"}, (table, change)


async def test_a_value_of_each_table_is_covered(sessions: Sessions) -> None:
    await write(sessions, _random(40))
    await seal(sessions)
    for table, changes in ALTERED.items():
        await run(sessions, f"UPDATE {table} SET {changes.split('|')[0]} WHERE id = 1")
    found = await faults(sessions)
    assert ("altered", 1) in found
    assert {kind for kind, _ in found} == {"altered"}


# SQLite stores any value in a column.
UNREADABLE = [
    "request_id = x'740102030405ff'",
    "request_id = 'text'",
    "latency = 'x'",
    "second = 'x'",
    "count = -1, second = 9223372036854775807",
    "token_id = 1.5",
    "decision_key_id = 'x'",
]
UNREADABLE_PARTS = [
    "UPDATE decision_outcomes SET allowed = 7",
    "UPDATE decision_callers SET subject = CAST(x'ff' AS TEXT)",
    "UPDATE decision_targets SET action = x'ff'",
    "UPDATE decision_outcomes SET missing = 5",
    "UPDATE grant_sets SET grants = 5",
]
UNREADABLE_ENTRIES = [
    "UPDATE chain_entries SET hash = 'text' WHERE sequence = 3",
    "UPDATE chain_entries SET previous = 5 WHERE sequence = 3",
    "UPDATE chain_entries SET signature = 'text', key_id = 7 WHERE sequence = 3",
    "UPDATE chain_entries SET at = 'text' WHERE sequence = 3",
    "UPDATE chain_entries SET version = 'x', up_to_id = 'x', after_id = 'x' WHERE sequence = 3",
    "UPDATE chain_parts SET rows_hash = 'text' WHERE sequence = 3",
    "UPDATE chain_parts SET count = 'text' WHERE sequence = 3",
    "UPDATE chain_parts SET first_at = 'text' WHERE sequence = 3",
    "UPDATE chain_parts SET digests = 'text' WHERE sequence = 3",
    "UPDATE chain_parts SET part_class = x'ff', day = 'x' WHERE id = (SELECT max(id) FROM chain_parts)",
]


async def test_values_that_no_program_wrote_are_reported(copy: Copy) -> None:
    key, public = _key()
    for change in UNREADABLE:
        copied = await copy()
        assert await run(copied, f"UPDATE decision_rows SET {change} WHERE id = 30")
        ((kind, row_id),) = await faults(copied)
        assert (kind in ("altered", "without_key"), row_id) == (True, 30), change
        await write(copied, _random(5))
        assert await seal(copied) == 5, "they do not keep other rows from being sealed"
    for change in UNREADABLE_PARTS:
        copied = await copy()
        assert await run(copied, change)
        found = await faults(copied)
        assert found
        assert {kind for kind, _ in found} == {"altered"}, change
    for change in UNREADABLE_ENTRIES:
        copied = await copy()
        assert await run(copied, change)
        assert await faults(copied, keys=public), change
    copied = await copy()
    async with copied() as session:
        for number in range(3):
            admin_actions.record(session, FILES, "policy.files", f"{number}", now=datetime.now(UTC))
        await session.commit()
    assert await seal(copied, "admin", key=key) == 3
    await run(copied, "UPDATE admin_actions SET details = '{' WHERE id = 1")
    await run(copied, "UPDATE admin_actions SET at = 'x' WHERE id = 3")
    assert await faults(copied, "admin", keys=public) == [("altered", 1), ("altered", 3)]


async def test_a_row_without_its_decision_key_is_named(sessions: Sessions) -> None:
    await write(sessions, _random(40))
    await seal(sessions)
    lost: set[int] = set()
    for part in ("caller", "target", "outcome"):
        await run(sessions, f"DELETE FROM decision_{part}s WHERE id = 1")
        lost |= {*await _ids(sessions, f"decision_key_id IN (SELECT id FROM decision_keys WHERE {part}_id = 1)")}
        assert await faults(sessions) == [("without_key", row_id) for row_id in sorted(lost)]
    await write(sessions, _random(40))
    assert await seal(sessions) == 40
    await run(sessions, "DELETE FROM decision_keys")
    assert await faults(sessions) == [("without_key", row_id) for row_id in await _ids(sessions)]


async def test_acts_that_are_altered_removed_and_added_are_named(sessions: Sessions) -> None:
    async with sessions() as session:
        for number in range(8):
            details: dict[str, Detail] = {
                "name": f"é {number}",
                "number": number,
                "empty": None,
                "list": ["b", "a"],
                "yes": True,
            }
            now = datetime(2026, 11, 20, 9, number, 0, 123_456, tzinfo=UTC)
            admin_actions.record(session, FILES, "policy.files", f"r{number}", now=now, message="m", details=details)
        await session.commit()
    assert await seal(sessions, "admin", rows=3) == 8
    assert await faults(sessions, "admin") == []
    await run(sessions, "DELETE FROM admin_actions WHERE id = 2")
    for change in ("target = 'x'", "author = 'x'", "details = NULL", "message = ''", "door = NULL", "request_id = 'x'"):
        await run(sessions, f"UPDATE admin_actions SET {change} WHERE id = 5")
        assert ("altered", 5) in await faults(sessions, "admin")
    await run(
        sessions,
        "INSERT INTO admin_actions (id, at, action, target, author, request_id, message) "
        "SELECT -1, at, action, target, author, request_id, message FROM admin_actions WHERE id = 8",
    )
    assert await faults(sessions, "admin") == [("added", -1), ("altered", 5), ("removed", 2)]
    assert await faults(sessions) == []


CHANGED_ENTRIES = [
    "DELETE FROM chain_entries WHERE sequence = 3",
    "DELETE FROM chain_entries WHERE sequence <= 2",
    "UPDATE chain_entries SET at = at + 1 WHERE sequence = 3",
    "UPDATE chain_entries SET up_to_id = up_to_id + 1 WHERE sequence = 3",
    "UPDATE chain_entries SET kind = 'retirement' WHERE sequence = 3",
    "UPDATE chain_entries SET hash = previous WHERE sequence = 3",
    "UPDATE chain_entries SET previous = hash WHERE sequence = 1",
    "UPDATE chain_entries SET sequence = 9 WHERE sequence = 5",
    "UPDATE chain_entries SET version = 7 WHERE sequence = 2",
    "DELETE FROM chain_parts WHERE sequence = 3",
    "UPDATE chain_parts SET count = count + 1 WHERE sequence = 3",
    "UPDATE chain_parts SET first_at = 0 WHERE sequence = 3",
    "UPDATE chain_parts SET rows_hash = digests_hash WHERE sequence = 3",
    "UPDATE chain_parts SET digests = NULL WHERE sequence = 3",
    "UPDATE chain_parts SET digests = rows_hash WHERE sequence = 3",
    "UPDATE chain_parts SET digests = (SELECT digests FROM chain_parts WHERE sequence = 2 ORDER BY day LIMIT 1) "
    "WHERE sequence = 3",
]


async def test_changes_of_the_chain_are_noticed(copy: Copy) -> None:
    for change in CHANGED_ENTRIES:
        copied = await copy()
        assert await run(copied, change)
        assert await faults(copied), change


async def test_the_rows_of_a_part_are_checked_without_the_digests_that_name_them(sessions: Sessions) -> None:
    await write(sessions, [varied(PLAIN, request_id=f"r{number}") for number in range(40)])
    await seal(sessions)
    await run(sessions, "UPDATE chain_parts SET digests = NULL")
    assert await faults(sessions) == [("digests", None)]
    await run(sessions, "UPDATE decision_rows SET latency = 5 WHERE id = 7")
    assert await faults(sessions) == [("digests", None), ("rows", None)]


async def test_a_rewritten_chain_has_no_signature(sessions: Sessions) -> None:
    key, public = _key()
    await write(sessions, _random(120))
    await seal(sessions, key=key)
    found, result = await verify(sessions, keys=public)
    assert (found, result.signed, result.unsigned) == ([], 3, 0)
    await run(
        sessions, "DELETE FROM decision_rows WHERE id = 60", "DELETE FROM chain_entries", "DELETE FROM chain_parts"
    )
    await seal(sessions)
    assert await faults(sessions) == []
    assert await faults(sessions, keys=public) == [("signature", None)] * 3
    await run(sessions, "DELETE FROM chain_entries", "DELETE FROM chain_parts")
    await seal(sessions, key=_key()[0])
    found, _ = await verify(sessions, keys=public)
    assert len(found) == 3
    assert "which is none of those given" in found[0].message
    await run(sessions, "UPDATE chain_entries SET key_id = :id", id=key.key_id)
    found, _ = await verify(sessions, keys=public)
    assert len(found) == 3
    assert "wrong signature" in found[0].message


async def test_keys_are_rotated(sessions: Sessions) -> None:
    (old, old_public), (new, new_public) = _key(), _key()
    await write(sessions, _random(60))
    await seal(sessions)
    before = await head(sessions)
    for key in (old, new):
        await write(sessions, _random(60))
        await seal(sessions, key=key)
    both = PublicKeys({**old_public.keys, **new_public.keys})
    assert await faults(sessions, keys=both) == [("signature", None)] * 2, "those from before the key was set"
    assert await faults(sessions, keys=both, unsigned_until=[before]) == []
    other = ChainHead("decisions", before.sequence, bytes(32))
    assert await faults(sessions, keys=both, unsigned_until=[other]) == [("head", None)]
    assert await faults(sessions, keys=new_public, unsigned_until=[before]) == [("signature", None)] * 2


async def test_a_removed_end_is_noticed_by_a_head_that_was_kept(sessions: Sessions) -> None:
    key, public = _key()
    await write(sessions, _random(120))
    await seal(sessions, key=key)
    kept = await head(sessions)
    assert ChainHead.read(str(kept)) == kept
    await run(
        sessions,
        "DELETE FROM decision_rows WHERE id > 100",
        "DELETE FROM chain_entries WHERE sequence = 3",
        "DELETE FROM chain_parts WHERE sequence = 3",
    )
    assert await faults(sessions, keys=public) == []
    assert await faults(sessions, keys=public, heads=[kept]) == [("head", None)]
    await write(sessions, _random(20))
    await seal(sessions, key=key)
    assert await faults(sessions, keys=public) == []
    assert await faults(sessions, keys=public, heads=[kept]) == [("head", None)]


async def test_one_day_is_verified_alone(sessions: Sessions) -> None:
    day = 86_400 * 1_000_000
    today = NOW // day
    records = [varied(PLAIN, at=(today - number % 3) * day + number, request_id=f"r{number}") for number in range(90)]
    await write(sessions, records)
    await seal(sessions)
    found, result = await verify(sessions, day=today)
    assert (found, result.checked) == ([], 30)
    await run(sessions, "UPDATE decision_rows SET latency = 7 WHERE id IN (31, 32, 33)")
    assert await faults(sessions) == [("altered", 31), ("altered", 32), ("altered", 33)]
    assert await faults(sessions, day=today) == [("altered", 31)]
    await run(sessions, f"UPDATE decision_rows SET second = second - {3 * 86_400} WHERE id = 1")
    assert await faults(sessions, day=today) == [("altered", 1), ("altered", 31)], "moved to another day"


async def test_several_processes_seal_each_row_once(sessions: Sessions) -> None:
    key, public = _key()
    sealers = [Sealer(sessions, key=key, segment_rows=20) for _ in range(4)]

    async def seal_all(sealer: Sealer) -> int:
        total = 0
        while not writing.done() or await sealer.seal("decisions"):
            total += await sealer.seal("decisions")
            await asyncio.sleep(0)
        return total

    async def write_all() -> None:
        for _ in range(10):
            await write(sessions, _random(30))
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write_all())
    async with asyncio.timeout(60):
        await asyncio.gather(writing, *map(seal_all, sealers))
    found, result = await verify(sessions, keys=public)
    assert (found, result.checked, result.unsealed) == ([], 300, 0)


async def test_a_server_without_traffic_writes_nothing(kind: Kind, sessions: Sessions) -> None:
    stop = asyncio.Event()
    await write(sessions, _random(30))
    running = asyncio.create_task(Sealer(sessions, seal_seconds=0.05).run(stop))
    async with asyncio.timeout(20):
        while (await verify(sessions))[1].unsealed:
            await asyncio.sleep(0.02)
    before = await head(sessions)
    await asyncio.sleep(0.3)
    stop.set()
    await running
    assert await head(sessions) == before
    assert await faults(sessions) == []


async def test_an_unreadable_chain_of_one_log_does_not_stop_the_other(sealed: Path) -> None:
    async with _opened(sealed) as sessions:
        await run(sessions, "UPDATE chain_entries SET hash = 'text'")
        await write(sessions, _random(3))
        async with sessions() as session:
            admin_actions.record(session, FILES, "policy.files", "r1", now=datetime.now(UTC))
            await session.commit()
        sealer, stop = Sealer(sessions, seal_seconds=0.05), asyncio.Event()
        with capture_logs() as lines:
            running = asyncio.create_task(sealer.run(stop))
            async with asyncio.timeout(20):
                while (await verify(sessions, "admin"))[1].head is None:
                    await asyncio.sleep(0.02)
            stop.set()
            await running
    assert any(line["event"] == "rows of a log cannot be sealed" for line in lines)


async def test_the_heads_of_a_day_are_recorded_and_logged_once(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = 86_400 * 10**6
    now = NOW // day * day + day // 2
    heads = []
    with capture_logs() as lines:
        for elapsed in (0, 1, day, day + 1, 3 * day, 3 * day + 1):
            monkeypatch.setattr(chain_store, "now", lambda at=now + elapsed: at)
            await write(sessions, _random(3))
            assert await seal(sessions) == 3
            await seal(sessions, "admin")
            heads.append(str(await head(sessions)))
    async with sessions() as session:
        acts = await admin_actions.page(session, AdminFilter(), limit=10)
    assert [(act.action, act.message, act.door) for act in acts] == [
        ("log.seal", heads[3], "server"),
        ("log.seal", heads[1], "server"),
    ]
    assert [act.details["decisions"] for act in acts] == [heads[3], heads[1]]
    assert acts[0].target == f"day:{datetime.fromtimestamp((now + day) / 10**6, UTC):%Y-%m-%d}"
    logged = [str(line) for line in lines if line.get("log") == "decisions"]
    assert [any(head in line for line in logged) for head in heads] == [True, False, True, False, True, False]
    assert await faults(sessions) == await faults(sessions, "admin") == []

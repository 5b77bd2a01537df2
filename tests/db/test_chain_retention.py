"""Retention deletes sealed rows, and the chain tells these from rows that were removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.chain.signatures import PublicKeys, SigningKey
from app.audit.record import DecisionKey
from app.db.decision_carrying import move
from app.db.decision_filters import load_keys
from app.db.decision_times import DAY
from app.db.engine import LOCK_FIRST, open_engine
from app.db.migrate import upgrade
from app.db.old_decisions import OldDecisions
from app.db.retirement import retire_class
from app.db.sealing import Sealer
from app.db.session import Sessions, sessions_of
from tests.db.chained import faults, head, run, seal, verify, write
from tests.db.records import varied
from tests.db.test_decision_carrying import BEFORE, _write_as_before
from tests.db.test_decision_store import NOW, PLAIN, _random
from tests.support.databases import upgrade_to

pytestmark = pytest.mark.anyio
TODAY = NOW // DAY * DAY


@pytest.fixture
def key() -> SigningKey:
    return SigningKey(Ed25519PrivateKey.generate())


def _public(key: SigningKey) -> PublicKeys:
    return PublicKeys({key.key_id: key._key.public_key()})


async def _days(sessions: Sessions, key: SigningKey | None, days: int = 4, rows: int = 12) -> None:
    """Write and seal decisions of some days, the last of which is today."""
    for ago in reversed(range(days)):
        methods = ("jwt", "anonymous")
        records = [
            varied(PLAIN, at=TODAY - ago * DAY + number, request_id=f"r{ago} {number}", method=methods[number % 2])
            for number in range(rows)
        ]
        await write(sessions, records)
        await seal(sessions, rows=rows // 2, key=key)


async def _delete_before(store: OldDecisions, at: int) -> None:
    """What retention does in as many rounds as it needs."""
    while await store.drop_day_before(at):
        pass
    while await store.delete_before(at, 5):
        pass


async def _count(sessions: Sessions, table: str) -> int:
    async with sessions() as session:
        return int(await session.scalar(text(f"SELECT count(*) FROM {table}")) or 0)


async def test_deleted_days_are_no_removed_rows(sessions: Sessions, key: SigningKey) -> None:
    store = OldDecisions(sessions, key)
    await _days(sessions, key)
    kept = await head(sessions)
    for ago in (2, 1, 0):
        await _delete_before(store, TODAY - ago * DAY)
        found, result = await verify(sessions, keys=_public(key))
        assert (found, result.checked, result.left_over) == ([], 12 * (ago + 1), 0)
    assert await _count(sessions, "chain_entries") < 8, "entries without rows are deleted too"
    assert await _count(sessions, "chain_parts") == 8, "those before the last retirement, and today's"
    assert await faults(sessions, keys=_public(key), heads=[kept]) == [], "a head whose entry is kept"
    await run(sessions, "DELETE FROM decision_rows WHERE id = (SELECT max(id) FROM decision_rows)")
    assert await faults(sessions) == [("removed", 48)]


async def test_rows_between_two_transactions_of_retention(sessions: Sessions, key: SigningKey) -> None:
    """A process that is killed there leaves retired rows; the next round goes on."""
    store = OldDecisions(sessions, key)
    await _days(sessions, key)
    assert await store.delete_before(TODAY - 2 * DAY, 5) == 5
    found, result = await verify(sessions, keys=_public(key))
    assert (found, result.checked, result.left_over) == ([], 36, 7)
    await run(sessions, "DELETE FROM decision_rows WHERE id = 30")
    assert await faults(sessions) == [("removed", 30)]


async def test_the_oldest_of_a_class_is_deleted(sessions: Sessions, key: SigningKey) -> None:
    await _days(sessions, key)

    async def delete_anonymous(up_to: int) -> None:
        async with sessions() as session:
            connection = await session.connection(execution_options=LOCK_FIRST)
            await retire_class(connection, key, "anonymous", up_to)
            await session.execute(
                text(
                    "DELETE FROM decision_rows WHERE id <= :id AND decision_key_id IN (SELECT k.id FROM decision_keys "
                    "AS k JOIN decision_callers AS c ON c.id = k.caller_id WHERE c.method = 'anonymous')"
                ),
                {"id": up_to},
            )
            await session.commit()

    for up_to in (4, 8, 20, 21):
        await delete_anonymous(up_to)
        found, result = await verify(sessions, keys=_public(key))
        assert found == []
        assert result.checked + result.retired == 48
    assert await _count(sessions, "chain_entries") == 8 + 3, "the first one retires 4 and 8"
    await run(sessions, "DELETE FROM decision_rows WHERE id IN (SELECT min(id) FROM decision_rows)")
    assert await faults(sessions) == [("removed", 1)], "a known caller's"
    for days in (0, 1):
        await _delete_before(OldDecisions(sessions, key), TODAY + days * DAY)
        assert await faults(sessions, keys=_public(key)) == []
    assert await _count(sessions, "chain_entries") == 2 + 5, "those of today, and all retirements"


async def test_a_retirement_needs_the_key(sessions: Sessions, key: SigningKey) -> None:
    await _days(sessions, key)
    await _delete_before(OldDecisions(sessions), TODAY - DAY)
    assert await faults(sessions) == []
    found = await faults(sessions, keys=_public(key))
    assert found
    assert {kind for kind, _ in found} == {"signature"}


async def test_altered_times_do_not_make_retention_a_tool(sessions: Sessions, key: SigningKey) -> None:
    """Retention deletes rows whose time an attacker changed, and retires no part for them."""
    await _days(sessions, key)
    await run(sessions, f"UPDATE decision_rows SET second = second - {20 * 86_400} WHERE id IN (40, 41)")
    await _delete_before(OldDecisions(sessions, key), TODAY - 10 * DAY)
    assert await faults(sessions, keys=_public(key)) == [("removed", 40), ("removed", 41)]
    await run(sessions, f"UPDATE chain_parts SET first_at = first_at - {20 * DAY} WHERE sequence = 8")
    await _delete_before(OldDecisions(sessions, key), TODAY - 10 * DAY)
    found = await faults(sessions, keys=_public(key))
    assert ("entry", None) in found


async def test_rows_that_retention_deletes_while_they_are_sealed(sessions: Sessions, key: SigningKey) -> None:
    """Old rows, as those that were carried over may be."""
    store = OldDecisions(sessions, key)
    await write(sessions, [varied(PLAIN, at=TODAY - 3 * DAY, request_id=f"r{number}") for number in range(300)])
    await write(sessions, [varied(PLAIN, at=NOW, request_id=f"n{number}") for number in range(300)])

    async def delete() -> None:
        while await store.delete_before(TODAY - DAY, 20):
            await asyncio.sleep(0)

    async def seal_all() -> None:
        sealer = Sealer(sessions, key=key, segment_rows=60)
        while not deleting.done() or await sealer.seal("decisions"):
            await sealer.seal("decisions")

    deleting = asyncio.create_task(delete())
    async with asyncio.timeout(60):
        await asyncio.gather(deleting, seal_all())
    found, result = await verify(sessions, keys=_public(key))
    assert (found, result.checked, result.left_over) == ([], 300, 0)


async def test_a_check_during_deletion_names_no_row(sessions: Sessions, key: SigningKey) -> None:
    store = OldDecisions(sessions, key)
    await _days(sessions, key, rows=30)

    async def delete() -> None:
        for ago in (2, 1, 0):
            while await store.drop_day_before(TODAY - ago * DAY) or await store.delete_before(TODAY - ago * DAY, 3):
                await asyncio.sleep(0)

    deleting = asyncio.create_task(delete())
    async with asyncio.timeout(60):
        while not deleting.done():
            assert await faults(sessions, keys=_public(key)) == []
    await deleting


async def test_rows_that_are_deleted_with_their_keys_while_they_are_read(
    sessions: Sessions, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def delete_and_load(session: AsyncSession, ids: set[int]) -> dict[int, DecisionKey]:
        await run(sessions, "DELETE FROM decision_rows", "DELETE FROM decision_keys")
        return await load_keys(session, ids)

    await write(sessions, _random(20))
    monkeypatch.setattr("app.db.chain_rows.load_keys", delete_and_load)
    assert await Sealer(sessions).seal("decisions") == 0
    monkeypatch.setattr("app.db.chain_rows.load_keys", load_keys)
    await write(sessions, _random(20))
    monkeypatch.setattr("app.db.chain_rows.load_keys", delete_and_load)
    assert await faults(sessions) == []


@pytest.fixture
async def former(empty: str) -> AsyncIterator[Sessions]:
    """Sessions of a database that servers of the previous release wrote to, and was upgraded."""
    await upgrade_to(empty, BEFORE)
    engine = open_engine(empty)
    sessions = sessions_of(engine)
    await _write_as_before(sessions, [record for record in _random(60) if record.times == 1])
    await upgrade(empty)
    yield sessions
    await engine.dispose()


async def test_decisions_that_are_moved_are_as_they_were_sealed(former: Sessions) -> None:
    assert await move(former, 10) == 10
    await write(former, _random(20))
    assert await seal(former, rows=17) == 80
    await _write_as_before(former, [varied(PLAIN, latency=2**40, at=2**52, request_id=f"{n}") for n in range(3)])
    assert await seal(former) == 3
    assert await faults(former) == []
    while await move(former, 7):
        assert await faults(former) == []
    assert await _count(former, "decisions") == 0
    await run(former, "UPDATE decision_rows SET latency = 3 WHERE id = 45")
    assert await faults(former) == [("altered", 45)]


async def test_a_server_of_the_previous_release_deletes_its_decisions(former: Sessions, key: SigningKey) -> None:
    """It retires nothing: the next round of retention does, since the age of the parts is known."""
    assert await seal(former, key=key) == 60
    await run(former, "DELETE FROM decisions WHERE id <= 20")
    assert len(await faults(former)) == 20
    await _delete_before(OldDecisions(former, key), TODAY + 2 * DAY)
    assert await faults(former, keys=_public(key)) == []

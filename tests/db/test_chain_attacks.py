"""What an attacker with access to the database, but not to the signing key, does to a log: each change is noticed.

Heads that were kept are used only where an older or another log is put in the place of this one as a whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import Row, insert, select, text

from app.audit.chain.signatures import PublicKeys, SigningKey
from app.audit.decision_filter import DecisionFilter
from app.audit.size_limit import SizeLimit
from app.db.decision_times import DAY
from app.db.decision_volumes import class_sizes
from app.db.decisions import newest_id, page
from app.db.engine import open_engine
from app.db.limited_log import LimitedLog
from app.db.session import Sessions, sessions_of
from app.db.tables.base import table_of
from app.db.tables.chain import ChainEntryRow, ChainPartRow
from app.db.tables.decisions import DecisionRow
from tests.db.chained import faults, head, run, seal, verify, write
from tests.db.records import varied
from tests.db.test_decision_store import NOW, PLAIN
from tests.support.databases import Kind, Postgres
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio

ROWS, SEGMENT = 60, 10
_TABLES = (table_of(ChainEntryRow), table_of(ChainPartRow), table_of(DecisionRow))


class Chained:
    """A log of `ROWS` decisions in sealed segments, and what is needed to verify it."""

    def __init__(self, sessions: Sessions, key: SigningKey) -> None:
        self.sessions = sessions
        self.key = key
        self.public = PublicKeys({key.key_id: key._key.public_key()})

    async def fill(self, name: str = "own", rows: int = ROWS) -> None:
        records = [varied(PLAIN, at=NOW + n, request_id=f"{name} {n}", subject="user_a") for n in range(rows)]
        await write(self.sessions, records)
        await seal(self.sessions, rows=SEGMENT, key=self.key)

    async def faults(self, **options: Any) -> list[tuple[str, int | None]]:
        return await faults(self.sessions, keys=self.public, **options)

    async def content(self) -> Sequence[Sequence[Row[Any]]]:
        """A copy of the chain and of the rows, as an attacker keeps it."""
        async with self.sessions() as session:
            return [(await session.execute(select(table).order_by(table.c.id))).all() for table in _TABLES]

    async def restore(self, content: Sequence[Sequence[Row[Any]]]) -> None:
        """Put the chain and the rows back, in the place of what is there."""
        async with self.sessions() as session:
            for table, rows in zip(_TABLES, content, strict=True):
                await session.execute(table.delete())
                if rows:
                    await session.execute(insert(table), [dict(row._mapping) for row in rows])
            await session.commit()


@pytest.fixture
async def log(sessions: Sessions) -> Chained:
    chained = Chained(sessions, SigningKey(Ed25519PrivateKey.generate()))
    await chained.fill()
    assert await chained.faults() == []
    return chained


_COPIED = "id, log, sequence, kind, version, after_id, up_to_id, at, previous, hash, content, key_id, signature"


async def test_a_forged_retirement_below_the_chain_excuses_nothing(log: Chained) -> None:
    """The first entries are removed with their rows, and an entry below the first one says that these are retired."""
    whole = await log.content()
    for sequence in (0, -4):
        forged = _COPIED
        values = {"id": 999, "sequence": sequence, "kind": "'retirement'", "content": "'age - 0 - 4\n'"}
        for name, value in values.items():
            forged = forged.replace(name, str(value), 1)
        await run(
            log.sessions,
            f"INSERT INTO chain_entries ({_COPIED}) SELECT {forged} FROM chain_entries WHERE sequence = 4",
            "DELETE FROM chain_entries WHERE sequence BETWEEN 1 AND 3",
            "DELETE FROM chain_parts WHERE sequence <= 3",
            f"DELETE FROM decision_rows WHERE id <= {3 * SEGMENT}",
        )
        assert ("missing_entry", None) in await log.faults()
        await log.restore(whole)


async def test_entries_that_retention_deleted_cannot_come_back_with_other_rows(log: Chained) -> None:
    """Otherwise rows could be added after a signed entry of long ago, where no entry seals them."""
    kept = await log.content()
    async with log.sessions() as session:
        max_bytes = (await class_sizes(session))["known"] // 2
    while await LimitedLog(log.sessions, log.key).delete_excess(SizeLimit(max_bytes)):
        pass
    assert await log.faults() == []
    entries, parts, rows = ([dict(row._mapping) for row in each] for each in kept)
    chosen = [[each for each in of if each["sequence"] == 1] for of in (entries, parts)]
    forged = {**rows[SEGMENT + 2], "latency": 99}
    async with log.sessions() as session:
        assert await session.scalar(text("SELECT count(*) FROM chain_entries WHERE sequence = 1")) == 0
        for table, values in zip(_TABLES, (*chosen, [*rows[:SEGMENT], forged]), strict=True):
            await session.execute(insert(table), values)
        await session.commit()
    assert ("entry", None) in await log.faults()


OTHER_DAYS = (
    "UPDATE decision_keys SET first_day = 0, last_day = 0",
    "UPDATE decision_keys SET first_day = last_day + 1, last_day = last_day + 2",
    "UPDATE decision_outcomes SET first_day = 0, last_day = 1",
)


async def test_decisions_that_filters_no_longer_find_are_named(log: Chained) -> None:
    async def found() -> int:
        async with log.sessions() as session:
            return len((await page(session, DecisionFilter(revision=PLAIN.key.revision), size=ROWS)).rows)

    assert await found() == ROWS
    day = NOW // DAY
    for attack in OTHER_DAYS:
        table = attack.split()[1]
        assert await run(log.sessions, attack)
        assert await found() == (0 if "outcomes" in table else ROWS)
        assert await log.faults() == [("altered", row_id) for row_id in range(1, ROWS + 1)]
        assert (len(await log.faults(day=day)), await log.faults(day=day - 1)) == (ROWS, [])
        await run(log.sessions, f"UPDATE {table} SET first_day = {day}, last_day = {day}")


async def test_a_row_in_the_table_of_the_previous_release_is_named(log: Chained) -> None:
    columns = "id, at, latency, request_id, door, subject, method, action, resource, allowed, reason, missing, revision"
    forged = f"{NOW}, 1, 'r', 'app', 'user_forged', 'jwt', 'GET', '/teams', true, 'r', '', 'r'"

    async def shown() -> set[int]:
        async with log.sessions() as session:
            return {row.id for row in (await page(session, DecisionFilter(subject="user_forged"), size=5)).rows}

    await run(log.sessions, f"INSERT INTO decisions ({columns}) VALUES (5, {forged})")
    assert await shown() == {5}
    assert await log.faults() == [("added", 5)]
    await write(log.sessions, [varied(PLAIN, at=NOW + n, request_id=f"later {n}") for n in range(12)])
    async with log.sessions() as session:
        newest = await newest_id(session)
    await run(log.sessions, f"INSERT INTO decisions ({columns}) VALUES ({newest}, {forged})")
    assert await shown() == {5, newest}
    found, result = await verify(log.sessions, keys=log.public)
    assert [fault.kind for fault in found] == ["added", "added"], "also before it is sealed"
    assert result.unsealed == 13
    assert await seal(log.sessions, key=log.key)
    assert {("added", 5), ("added", newest)} <= set(await log.faults())


async def test_a_row_with_the_lowest_id_is_named(log: Chained) -> None:
    columns = "decision_key_id, second, microsecond, latency, count, request_id, token_id"
    lowest = f"INSERT INTO decision_rows (id, {columns}) SELECT {-(2**63)}, {columns} FROM decision_rows WHERE id = 7"
    await run(log.sessions, lowest)
    assert await log.faults() == [("added", -(2**63))]


async def test_a_row_that_is_not_sealed_is_named_once(log: Chained) -> None:
    await write(log.sessions, [varied(PLAIN, at=NOW + ROWS, request_id="later", subject="user_later")])
    await run(
        log.sessions,
        "DELETE FROM decision_keys WHERE id = (SELECT decision_key_id FROM decision_rows "
        "WHERE id = (SELECT max(id) FROM decision_rows))",
    )
    assert await log.faults() == [("without_key", None)]


SWAPS = (
    "UPDATE decision_rows SET id = -999 WHERE id = 7",
    "UPDATE decision_rows SET id = 7 WHERE id = 47",
    "UPDATE decision_rows SET id = 47 WHERE id = -999",
)


async def test_deleted_swapped_and_changed_rows_are_named(log: Chained) -> None:
    await run(log.sessions, "DELETE FROM decision_rows WHERE id IN (1, 30, 60)", *SWAPS)
    await run(log.sessions, "UPDATE decision_rows SET second = second - 1 WHERE id = 22")
    expected = [("altered", 7), ("altered", 22), ("altered", 47), ("removed", 1), ("removed", 30), ("removed", 60)]
    assert await log.faults() == expected


@pytest.mark.parametrize("kind", ["sqlite"], indirect=True)  # which stores any value in a column
@pytest.mark.parametrize("change", ["sequence = 'x' WHERE sequence = 6", "sequence = 0.5 WHERE sequence = 1"])
async def test_a_sequence_that_is_no_number_is_reported(log: Chained, change: str) -> None:
    await run(log.sessions, f"UPDATE chain_entries SET {change}")
    assert await log.faults()
    await run(log.sessions, "UPDATE chain_entries SET kind = 'retirement', content = 'age - 0 - 4\n'")
    assert await log.faults()


async def test_an_older_state_is_noticed_by_a_head_that_was_kept(log: Chained) -> None:
    """The log is truncated, or put back to what it was; servers go on, and sign what they log from then on."""
    older = await log.content()
    await log.fill("later", 20)
    noted = await head(log.sessions)
    await log.restore(older)
    assert await log.faults() == []
    assert await log.faults(heads=[noted]) == [("head", None)]
    await log.fill("since", 40)
    assert await log.faults() == []
    assert await log.faults(heads=[noted]) == [("head", None)]


@asynccontextmanager
async def _other(key: SigningKey, url: str) -> AsyncIterator[Chained]:
    """The log of another deployment."""
    engine = open_engine(url)
    other = Chained(sessions_of(engine), key)
    await other.fill("other")
    yield other
    await engine.dispose()


async def test_two_logs_cannot_be_mixed(
    log: Chained, kind: Kind, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """With keys of their own, not even as a whole; with one key for both, a head that was kept is needed for that."""
    noted, own = await head(log.sessions), await log.content()
    if kind == "postgresql":
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.new(prepared=True)
    else:
        file = tmp_path / "other.db"
        file.write_bytes(prepared_database().read_bytes())
        url = f"sqlite:///{file}"
    async with _other(log.key, url) as other:
        foreign = await other.content()
    if kind == "postgresql":
        postgres.drop(url)
    for table in range(3):
        mixed = [of[table] for of in (own, foreign)]
        for start in (ROWS // 2, 0):
            place = {0: start // SEGMENT, 1: start // SEGMENT, 2: start}[table]
            await log.restore([*own[:table], [*mixed[0][:place], *mixed[1][place:]], *own[table + 1 :]])
            assert await log.faults(), (table, start)
    # The last segments of the other log, with their rows.
    half = ROWS // SEGMENT // 2
    await log.restore(
        [[*a[:n], *b[n:]] for a, b, n in zip(own, foreign, (half, half, ROWS // 2), strict=True)],
    )
    assert ("entry", None) in await log.faults()
    await log.restore(foreign)
    assert ("head", None) in await log.faults(heads=[noted])
    assert ("signature", None) in await faults(
        log.sessions, keys=Chained(log.sessions, SigningKey(Ed25519PrivateKey.generate())).public
    )
    await log.restore(own)
    assert await log.faults(heads=[noted]) == []

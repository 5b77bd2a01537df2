"""Decisions in the database, written: a batch as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from importlib import import_module
from itertools import islice
from typing import Any

import msgspec
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession

from app.audit.batch import Batch, Own
from app.audit.log import BatchNotStored
from app.audit.record import OWN, About, Record, StatedGrants
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

MAX_REMEMBERED = 10_000  # grant sets
_UPSERT_AT_ONCE = 500
_AT_ONCE = 100  # decisions in a statement, which takes about two milliseconds
# A number that nothing else in the database takes: on PostgreSQL batches are committed in the order of their ids.
_ADVISORY_LOCK = 0x617574687B
_Seen = dict[bytes, tuple[int, int]]  # by digest: the id, and the day since 1970 on which it was last seen
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)
_DAY = 86_400 * 1_000_000  # microseconds
_encode = msgspec.json.Encoder().encode


_COLUMNS = tuple(column.name for column in _decisions.c if column.name != "id")


def _from_json() -> str:
    """One statement for a batch on SQLite: of rows, and of what they are about, each once.

    Python's driver gives up its lock and asks for it again for each statement or row of a batch: under load, each
    time would cost the event loop a switch of threads, and the transaction would last as long.
    """
    own = ", ".join(f"json_extract(made.value, '$[{number}]')" for number in range(OWN))
    about = ", ".join(f"json_extract(value, '$[{number}]') AS c{number}" for number in range(len(_COLUMNS) - OWN))
    shared = ", ".join(f"about.c{number}" for number in range(len(_COLUMNS) - OWN))
    return (
        f"WITH about AS MATERIALIZED (SELECT key, {about} FROM json_each(?)) "  # noqa: S608  # our own names
        f"INSERT INTO decisions ({', '.join(_COLUMNS)}) SELECT {own}, {shared} "
        # Crossed, so that rows are stored in their order.
        f"FROM json_each(?) AS made CROSS JOIN about ON about.key = json_extract(made.value, '$[{OWN}]')"
    )


_FROM_JSON = _from_json()


async def _turn_loop() -> None:
    await asyncio.sleep(0)


class DecisionWriter:
    """Stores batches of decisions, while the disk has room. What it remembers is which grant sets the database has.

    `give_way` is awaited between parts of a batch, so that requests have their turns while a long one is stored.
    """

    def __init__(
        self,
        sessions: Sessions,
        disk: DiskSpace | None = None,
        give_way: Callable[[], Awaitable[None]] = _turn_loop,
    ) -> None:
        self._sessions = sessions
        self._give_way = give_way
        self._disk = disk
        self._known: _Seen = {}

    def forget(self) -> None:
        """Take no grant set for stored: the database may be another, as after a restore, and give its id to another."""
        self._known = {}

    async def write(self, batch: Batch) -> None:
        """Store a batch in one transaction. Raises BatchNotStored, and then none of it is stored."""
        if self._disk is not None and self._disk.shortage:
            raise BatchNotStored(self._disk.shortage)
        known = self._known
        try:
            with told():
                seen = await self._store(batch)
        except BatchNotStored:
            self._known.clear()
            raise
        if known is self._known:
            self._known |= seen
        while len(self._known) > MAX_REMEMBERED:
            del self._known[next(iter(self._known))]

    async def _store(self, batch: Batch) -> _Seen:
        async with self._sessions() as session:
            connection = await session.connection(execution_options=LOCK_FIRST)
            if connection.dialect.name == "postgresql":
                await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            seen = await self._store_grant_sets(session, batch)
            known = self._known | seen
            abouts = batch.abouts
            for start in range(0, len(batch), _AT_ONCE):
                if start:
                    await self._give_way()
                made = batch.made[start : start + _AT_ONCE]
                shared = {number: _values(abouts[number], known) for *_, number in made}
                if connection.dialect.name == "sqlite":
                    await connection.exec_driver_sql(_FROM_JSON, _as_json(made, shared))
                else:
                    await self._copy(connection, [(*own, *shared[number]) for *own, number in made])
            await session.commit()
            return seen

    async def _copy(self, connection: AsyncConnection, rows: Sequence[tuple[object, ...]]) -> None:
        """Store rows in their order with PostgreSQL's COPY, within the transaction that was begun.

        It takes a third of the time that an INSERT for each row does. Raises BatchNotStored.
        """
        # Imported where PostgreSQL is in use, which has imported it: it would cost each start its time.
        asyncpg = import_module("asyncpg")
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.copy_records_to_table(_decisions.name, records=rows, columns=_COLUMNS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if self._disk is not None:
                self._disk.note(error)
            raise _cannot(error) from None

    async def _store_grant_sets(self, session: AsyncSession, batch: Batch) -> _Seen:
        """The sets of a batch that are new, or not seen on this day yet."""
        found: _Seen = {}
        fresh: dict[bytes, tuple[StatedGrants, int]] = {}
        for about, last in zip(batch.abouts, batch.lasts, strict=True):
            grants = about[-1]
            if not isinstance(grants, StatedGrants):
                continue
            stored = self._known.get(grants.digest)
            _, day = fresh.get(grants.digest) or (grants, stored[1] if stored else -1)
            if last // _DAY > day:
                fresh[grants.digest] = (grants, last // _DAY)
        remaining = iter(fresh.values())
        # Only that of the database in use is imported: the other would cost each start its time.
        dialect = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
        while some := list(islice(remaining, _UPSERT_AT_ONCE)):
            upsert = dialect.insert(_grant_sets).values(
                [{"digest": grants.digest, "grants": grants.text, "last_seen_on": _date(day)} for grants, day in some]
            )
            upsert = upsert.on_conflict_do_update(
                index_elements=["digest"], set_={"last_seen_on": upsert.excluded.last_seen_on}
            )
            rows = await session.execute(upsert.returning(_grant_sets.c.id, _grant_sets.c.digest))
            found |= {row.digest: (row.id, fresh[row.digest][1]) for row in rows}
        return found


def _as_json(made: Sequence[Own], shared: Mapping[int, tuple[object, ...]]) -> tuple[str, str]:
    """What decisions are about, as a list, and the decisions, each with its place in that list."""
    places = {number: place for place, number in enumerate(shared)}
    rows = [(*own, places[number]) for *own, number in made]
    return _encode(list(shared.values())).decode(), _encode(rows).decode()


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _values(about: About, known: _Seen) -> tuple[object, ...]:
    """The values of `_COLUMNS` from the field on that an About begins with."""
    record = Record._make((0, 0, "", *about))
    grant_set_id = known[record.grants.digest][0] if record.grants else None
    return *about[:-3], " ".join(record.missing), record.revision, grant_set_id


@contextmanager
def told() -> Iterator[None]:
    """Raises what the database raises as BatchNotStored: without the statement and its values."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause: object = error.orig if isinstance(error, DBAPIError) else error
        raise _cannot(cause, tell=isinstance(error, DBAPIError | OSError)) from None


def _cannot(cause: object, *, tell: bool = True) -> BatchNotStored:
    # The first line alone, for PostgreSQL's details show values.
    said = str(cause).partition("\n")[0] if tell else ""
    return BatchNotStored(f"{type(cause).__name__}: {said}" if said else type(cause).__name__)

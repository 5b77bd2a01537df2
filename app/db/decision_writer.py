"""Writes decisions to the database, a batch in each transaction."""

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
_UPSERT_SIZE = 500
_BATCH_SIZE = 100  # decisions in a statement, which takes about two milliseconds
# A number that nothing else in the database takes: on PostgreSQL batches are committed in the order of their ids.
_ADVISORY_LOCK = 0x617574687B
_Seen = dict[bytes, tuple[int, int]]  # by digest: the id, and the day since 1970 on which it was last seen
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)
_DAY = 86_400 * 1_000_000  # microseconds
_encode = msgspec.json.Encoder().encode


_COLUMNS = tuple(column.name for column in _decisions.c if column.name != "id")


def _from_json() -> str:
    """One statement for a batch on SQLite: its rows, and the values that they share, each once.

    The driver releases and takes the interpreter lock for each statement or row: under load, each time would cost a
    switch of threads, and the transaction would take as long.
    """
    own = ", ".join(f"json_extract(made.value, '$[{number}]')" for number in range(OWN))
    about = ", ".join(f"json_extract(value, '$[{number}]') AS c{number}" for number in range(len(_COLUMNS) - OWN))
    shared = ", ".join(f"about.c{number}" for number in range(len(_COLUMNS) - OWN))
    return (
        f"WITH about AS MATERIALIZED (SELECT key, {about} FROM json_each(?)) "  # noqa: S608  # our own names
        f"INSERT INTO decisions ({', '.join(_COLUMNS)}) SELECT {own}, {shared} "
        # A cross join, so that rows are stored in order.
        f"FROM json_each(?) AS made CROSS JOIN about ON about.key = json_extract(made.value, '$[{OWN}]')"
    )


_FROM_JSON = _from_json()


async def _turn_loop() -> None:
    await asyncio.sleep(0)


class DecisionWriter:
    """Stores batches of decisions while the disk has room, and caches which grant sets the database has.

    `give_way` is awaited between parts of a batch, so that requests are served while a long one is stored.
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
        """Clear the cache: in another database, as after a restore, an id may belong to another grant set."""
        self._known = {}

    async def write(self, batch: Batch) -> None:
        """Store a batch in one transaction. Raises BatchNotStored if none of it is stored."""
        if self._disk is not None and self._disk.shortage:
            raise BatchNotStored(self._disk.shortage)
        known = self._known
        try:
            with without_values():
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
            for start in range(0, len(batch), _BATCH_SIZE):
                if start:
                    await self._give_way()
                made = batch.made[start : start + _BATCH_SIZE]
                shared = {number: _values(abouts[number], known) for *_, number in made}
                if connection.dialect.name == "sqlite":
                    await connection.exec_driver_sql(_FROM_JSON, _as_json(made, shared))
                else:
                    await self._copy(connection, [(*own, *shared[number]) for *own, number in made])
            await session.commit()
            return seen

    async def _copy(self, connection: AsyncConnection, rows: Sequence[tuple[object, ...]]) -> None:
        """Store rows in order with PostgreSQL's COPY, in the current transaction.

        COPY takes a third of the time of an INSERT for each row. Raises BatchNotStored.
        """
        # Imported here, since a start on SQLite would pay for it.
        asyncpg = import_module("asyncpg")
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.copy_records_to_table(_decisions.name, records=rows, columns=_COLUMNS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if self._disk is not None:
                self._disk.note(error)
            raise _not_stored(error) from None

    async def _store_grant_sets(self, session: AsyncSession, batch: Batch) -> _Seen:
        """Store the sets of a batch that are new, or were not seen on this day yet."""
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
        # Only the dialect in use is imported, since a start would pay for the other.
        dialect = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
        while some := list(islice(remaining, _UPSERT_SIZE)):
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
    """The shared values of decisions as a list, and the decisions, each with its index in that list."""
    places = {number: place for place, number in enumerate(shared)}
    rows = [(*own, places[number]) for *own, number in made]
    return _encode(list(shared.values())).decode(), _encode(rows).decode()


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _values(about: About, known: _Seen) -> tuple[object, ...]:
    """The values of `_COLUMNS` from the first field of an About."""
    record = Record._make((0, 0, "", *about))
    grant_set_id = known[record.grants.digest][0] if record.grants else None
    return *about[:-3], " ".join(record.missing), record.revision, grant_set_id


@contextmanager
def without_values() -> Iterator[None]:
    """Raise errors of the database as BatchNotStored, without the statement and its values."""
    try:
        yield
    except (SQLAlchemyError, OSError) as error:
        cause: object = error.orig if isinstance(error, DBAPIError) else error
        raise _not_stored(cause, with_message=isinstance(error, DBAPIError | OSError)) from None


def _not_stored(cause: object, *, with_message: bool = True) -> BatchNotStored:
    # Only the first line, since the details of PostgreSQL show values.
    message = str(cause).partition("\n")[0] if with_message else ""
    return BatchNotStored(f"{type(cause).__name__}: {message}" if message else type(cause).__name__)

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

from app.audit.batch import Batch, BatchRow
from app.audit.log import BatchNotStored
from app.audit.record import DecisionKey, StatedGrants
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions
from app.db.tables.base import table_of
from app.db.tables.decisions import GrantSet as GrantSetRow
from app.db.tables.decisions import LoggedDecision

MAX_CACHED_SETS = 10_000
_UPSERT_SIZE = 500
_STATEMENT_SIZE = 100  # decisions in a statement, which takes about two milliseconds
# An advisory lock that nothing else uses: on PostgreSQL batches are committed in the order of their ids.
_ADVISORY_LOCK = 0x617574687B
_SetIds = dict[bytes, tuple[int, int]]  # digest to id, and to the last day of use, in days since 1970
_decisions = table_of(LoggedDecision)
_grant_sets = table_of(GrantSetRow)
_DAY = 86_400 * 1_000_000  # microseconds
_ROW_COLUMNS = ("at", "latency", "request_id", "token_id")
_KEY_COLUMNS = tuple(c.name for c in _decisions.c if c.name not in ("id", *_ROW_COLUMNS))
_encode = msgspec.json.Encoder().encode


def _sqlite_insert() -> str:
    """One INSERT for many decisions on SQLite, from a JSON list of keys and one of rows.

    The driver releases the interpreter lock for each statement or row: under load, each would cost a switch of threads.
    """
    key_index = len(_ROW_COLUMNS)
    of_row = ", ".join(f"json_extract(rows.value, '$[{number}]')" for number in range(key_index))
    named = ", ".join(f"json_extract(value, '$[{number}]') AS c{number}" for number in range(len(_KEY_COLUMNS)))
    of_key = ", ".join(f"keys.c{number}" for number in range(len(_KEY_COLUMNS)))
    return (
        f"WITH keys AS MATERIALIZED (SELECT key, {named} FROM json_each(?)) "  # noqa: S608  # our own names
        f"INSERT INTO decisions ({', '.join(_ROW_COLUMNS + _KEY_COLUMNS)}) SELECT {of_row}, {of_key} "
        # A cross join, so that rows are stored in order.
        f"FROM json_each(?) AS rows CROSS JOIN keys ON keys.key = json_extract(rows.value, '$[{key_index}]')"
    )


_SQLITE_INSERT = _sqlite_insert()


async def _yield_to_loop() -> None:
    await asyncio.sleep(0)


class DecisionWriter:
    """Stores batches of decisions while the disk has room, and caches which grant sets the database has.

    `between_statements` is awaited between the statements of a batch, so that requests are served meanwhile.
    """

    def __init__(
        self,
        sessions: Sessions,
        disk: DiskSpace | None = None,
        between_statements: Callable[[], Awaitable[None]] = _yield_to_loop,
    ) -> None:
        self._sessions = sessions
        self._between_statements = between_statements
        self._disk = disk
        self._known: _SetIds = {}

    def forget(self) -> None:
        """Clear the cache: in another database, for example after a restore, an id may belong to another grant set."""
        self._known = {}

    async def write(self, batch: Batch) -> None:
        """Store a batch in one transaction. Raises BatchNotStored, and then nothing of it is stored."""
        if self._disk is not None and self._disk.shortage:
            raise BatchNotStored(self._disk.shortage)
        known = self._known
        try:
            with without_values():
                stored = await self._store(batch)
        except BatchNotStored:
            self._known.clear()
            raise
        if known is self._known:
            self._known |= stored
        while len(self._known) > MAX_CACHED_SETS:
            del self._known[next(iter(self._known))]

    async def _store(self, batch: Batch) -> _SetIds:
        async with self._sessions() as session:
            connection = await session.connection(execution_options=LOCK_FIRST)
            if connection.dialect.name == "postgresql":
                await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
            stored = await self._store_grant_sets(session, batch)
            known = self._known | stored
            keys = batch.keys
            for start in range(0, len(batch), _STATEMENT_SIZE):
                if start:
                    await self._between_statements()
                rows = batch.rows[start : start + _STATEMENT_SIZE]
                values = {index: _key_values(keys[index], known) for *_, index in rows}
                if connection.dialect.name == "sqlite":
                    await connection.exec_driver_sql(_SQLITE_INSERT, _as_json(rows, values))
                else:
                    await self._copy(connection, [(*row, *values[index]) for *row, index in rows])
            await session.commit()
            return stored

    async def _copy(self, connection: AsyncConnection, rows: Sequence[tuple[object, ...]]) -> None:
        """Store rows in order with PostgreSQL's COPY, in the current transaction.

        COPY takes a third of the time of an INSERT for each row. Raises BatchNotStored.
        """
        # Imported here, since a start on SQLite would pay for it.
        asyncpg = import_module("asyncpg")
        driver: Any = (await connection.get_raw_connection()).driver_connection
        try:
            await driver.copy_records_to_table(_decisions.name, records=rows, columns=_ROW_COLUMNS + _KEY_COLUMNS)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            if self._disk is not None:
                self._disk.note(error)
            raise _not_stored(error) from None

    async def _store_grant_sets(self, session: AsyncSession, batch: Batch) -> _SetIds:
        """Store the grant sets of a batch that are new, or were not used on this day yet."""
        stored: _SetIds = {}
        changed: dict[bytes, tuple[StatedGrants, int]] = {}
        for key, last_time in zip(batch.keys, batch.last_times, strict=True):
            if (grants := key.grants) is None:
                continue
            known = self._known.get(grants.digest)
            _, day = changed.get(grants.digest) or (grants, known[1] if known else -1)
            if last_time // _DAY > day:
                changed[grants.digest] = (grants, last_time // _DAY)
        remaining = iter(changed.values())
        # Imports only the dialect in use, which makes a start faster.
        dialect = import_module(f"sqlalchemy.dialects.{session.get_bind().dialect.name}")
        while chunk := list(islice(remaining, _UPSERT_SIZE)):
            upsert = dialect.insert(_grant_sets).values(
                [{"digest": grants.digest, "grants": grants.text, "last_seen_on": _date(day)} for grants, day in chunk]
            )
            upsert = upsert.on_conflict_do_update(
                index_elements=["digest"], set_={"last_seen_on": upsert.excluded.last_seen_on}
            )
            rows = await session.execute(upsert.returning(_grant_sets.c.id, _grant_sets.c.digest))
            stored |= {row.digest: (row.id, changed[row.digest][1]) for row in rows}
        return stored


def _as_json(rows: Sequence[BatchRow], values: Mapping[int, tuple[object, ...]]) -> tuple[str, str]:
    """The values of keys as a JSON list, and the rows, each with the index of its key in that list."""
    places = {index: place for place, index in enumerate(values)}
    listed = [(*row, places[index]) for *row, index in rows]
    return _encode(list(values.values())).decode(), _encode(listed).decode()


def _date(day: int) -> date:
    return date(1970, 1, 1) + timedelta(days=day)


def _key_values(key: DecisionKey, known: _SetIds) -> tuple[object, ...]:
    """The values of `_KEY_COLUMNS`."""
    grant_set_id = known[key.grants.digest][0] if key.grants else None
    return *key[:-3], " ".join(key.missing), key.revision, grant_set_id


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

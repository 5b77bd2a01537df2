"""Writes decisions to the database, a batch in each transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache, lru_cache
from importlib import import_module
from itertools import chain
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.batch import Batch
from app.audit.decision_class import DecisionClass, class_of
from app.audit.give_way import GiveWay, yield_to_loop
from app.audit.log import BatchNotStored
from app.db.compact_ids import compact, compact_request_id
from app.db.decision_keys import KeyStore
from app.db.decision_times import DAY, END, EPOCH, day_of, split_time
from app.db.decision_volumes import VolumeChanges, row_bytes
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST
from app.db.session import Sessions

_STATEMENT_SIZE = 100  # decisions in a statement; their rows take 0.2 milliseconds, and SQLite 0.3 in its thread
# An advisory lock that nothing else uses: on PostgreSQL batches are committed in the order of their ids.
_ADVISORY_LOCK = 0x617574687B
_TABLE = "decision_rows"
_COLUMNS = ("decision_key_id", "second", "microsecond", "latency", "request_id", "token_id", "count")
_MICROSECONDS = 1_000_000
MAX_LATENCY = 2**31 - 1  # microseconds, which the column holds
# The release before numbers its decisions by AUTOINCREMENT, so that ids of both tables are counted there.
_TAKE_IDS = (
    "UPDATE sqlite_sequence SET seq = ? + (SELECT max(seq) FROM sqlite_sequence "
    "WHERE name IN ('decisions', 'decision_rows')) WHERE name = 'decisions' RETURNING seq"
)
_compact_token_id = lru_cache(maxsize=2_000)(compact)  # callers send a token many times
# The id of the key, second, microsecond, latency, request id, token id and number of equal decisions.
_Row = tuple[int, int, int, int, bytes, bytes | None, int | None]


class DecisionWriter:
    """Stores batches of decisions while the disk has room, and caches which keys the database has.

    `between_statements` is awaited between the statements of a batch, so that requests are served meanwhile.
    """

    def __init__(
        self,
        sessions: Sessions,
        disk: DiskSpace | None = None,
        between_statements: GiveWay = yield_to_loop,
    ) -> None:
        self._sessions = sessions
        self._between_statements = between_statements
        self._disk = disk
        self._keys = KeyStore()

    def forget(self) -> None:
        """Clear the cache: in another database, for example after a restore, an id may belong to another key."""
        self._keys = KeyStore()

    async def write(self, batch: Batch) -> Mapping[DecisionClass, int]:
        """Store a batch in one transaction, and return about how many bytes that adds to each class.

        Raises BatchNotStored, and then nothing of it is stored.
        """
        if self._disk is not None and self._disk.shortage:
            raise BatchNotStored(self._disk.shortage)
        keys, fresh = self._keys, KeyStore()
        self._keys = fresh  # of a batch that is not stored, and of one during which the cache is cleared
        with without_values():
            added = await self._store(batch, keys)
        if self._keys is fresh:
            self._keys = keys
        return added

    async def _store(self, batch: Batch, keys: KeyStore) -> Mapping[DecisionClass, int]:
        async with self._sessions() as session:
            connection = await session.connection(execution_options=LOCK_FIRST)
            await lock_log(connection)
            try:
                added = await insert_batch(connection, keys, batch, between_statements=self._between_statements)
            except BatchNotStored as error:
                if self._disk is not None and error.__cause__ is not None:
                    self._disk.note(error.__cause__)
                raise
            await session.commit()
        return added


async def lock_log(connection: AsyncConnection) -> None:
    """Take the lock of the log's writers until the transaction ends; on SQLite, its begin took it."""
    if connection.dialect.name == "postgresql":
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})


async def insert_batch(
    connection: AsyncConnection,
    keys: KeyStore,
    batch: Batch,
    ids: Sequence[int] | None = None,
    between_statements: GiveWay = yield_to_loop,
) -> Mapping[DecisionClass, int]:
    """Insert decisions in order, with new ids unless they are given; return about how many bytes each class gets.

    The caller holds the lock of the log's writers and commits. Raises BatchNotStored, or the errors of SQLAlchemy.
    """
    times = [row[0] for row in batch.rows]
    first, latest = min(times), max(times)
    days = (day_of(first), day_of(latest))
    is_exact = first >= 0 and latest < END
    epoch = EPOCH if is_exact else 0
    # The number of rows by day, key, and bytes of request id and token id. Most rows are alike in all of these.
    sizes: dict[tuple[int, int, int, int], int] = {}
    key_ids = await keys.ids(connection, batch.keys, days)
    dialect = connection.dialect.name
    one = 1 if dialect == "sqlite" else None  # which takes no space
    changes = VolumeChanges()
    classes = [class_of(key.door, key.method) for key in batch.keys]
    if ids is None and dialect == "sqlite":
        last = (await connection.exec_driver_sql(_TAKE_IDS, (len(batch),))).scalar_one()
        ids = range(last - len(batch) + 1, last + 1)
    for start in range(0, len(batch), _STATEMENT_SIZE):
        if start:
            await between_statements()
        rows: list[_Row] = []
        for at, latency, request_text, token_text, key_index, count in batch.rows[start : start + _STATEMENT_SIZE]:
            request_id = compact_request_id(request_text, at)
            token_id = None if token_text is None else _compact_token_id(token_text)
            # As `split_time` does, without a call for each row.
            second, microsecond = divmod(at, _MICROSECONDS) if is_exact else split_time(at)
            took = latency if latency < MAX_LATENCY else MAX_LATENCY
            number = one if count == 1 else count
            rows.append((key_ids[key_index], second - epoch, microsecond, took, request_id, token_id, number))
            size = at // DAY, key_index, len(request_id), 0 if token_id is None else len(token_id)
            sizes[size] = sizes.get(size, 0) + 1
        of_rows = None if ids is None else ids[start : start + _STATEMENT_SIZE]
        if dialect == "postgresql":
            await _copy(connection, rows, of_rows)
            continue
        assert of_rows is not None
        await _insert(connection, rows, of_rows)
    for (day, key_index, *lengths), number_of_rows in sizes.items():
        changes.add_rows(day, classes[key_index], number_of_rows, number_of_rows * row_bytes(dialect, *lengths))
    for decision_class, byte_count in keys.added_bytes.items():
        changes.add_keys(decision_class, byte_count)
    await changes.store(connection)
    return changes.byte_counts


async def _insert(connection: AsyncConnection, rows: Sequence[_Row], ids: Sequence[int]) -> None:
    """Store rows in SQLite, without the steps of SQLAlchemy."""
    statement = _sqlite_insert(len(rows))
    values = tuple(chain.from_iterable([(row_id, *row) for row_id, row in zip(ids, rows, strict=True)]))
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.run(lambda cursor: cursor.execute(statement, values))
    except sqlite3.Error as error:
        raise _not_stored(error) from error


@cache
def _sqlite_insert(rows: int) -> str:
    # One statement for many rows: the driver releases the interpreter lock for each, which under load costs a switch of
    # threads.
    row = f"({', '.join('?' * (1 + len(_COLUMNS)))})"
    return f"INSERT INTO {_TABLE} (id, {', '.join(_COLUMNS)}) VALUES {', '.join([row] * rows)}"  # noqa: S608  # our own names


async def _copy(connection: AsyncConnection, rows: Sequence[_Row], ids: Sequence[int] | None) -> None:
    """Store rows in order with PostgreSQL's COPY, which takes a third of the time of INSERT.

    Without ids they get those of a sequence.
    """
    # Imported here, since a start on SQLite would pay for it.
    asyncpg = import_module("asyncpg")
    columns = _COLUMNS if ids is None else ("id", *_COLUMNS)
    records = rows if ids is None else [(row_id, *row) for row_id, row in zip(ids, rows, strict=True)]
    driver: Any = (await connection.get_raw_connection()).driver_connection
    try:
        await driver.copy_records_to_table(_TABLE, records=records, columns=columns)
    except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise _not_stored(error) from error


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

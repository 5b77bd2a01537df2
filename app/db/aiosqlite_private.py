"""The driver of SQLite: aiosqlite, with one trip to the thread of the connection for each statement.

aiosqlite sends the creation of a cursor, the statement, the fetch of its rows and the end of the cursor to the thread
one by one. The event loop runs other tasks meanwhile, so that under load each trip is a wait: a query with its
transaction took eight of them, and takes two here. All private API of aiosqlite that this program uses is here;
tests/db/test_aiosqlite_private.py fails if its meaning changes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, Self, cast

import aiosqlite
from aiosqlite.context import Result

from app.db.write_lock import BEGIN_IMMEDIATE, begin_immediate

_CHUNK_SIZE = 64  # rows that an iterator of aiosqlite fetches at once, which is not used here
_Parameters = Sequence[Any] | Mapping[str, Any]
_Statement = Callable[[sqlite3.Cursor], None]


def open_connection(database: str, **options: Any) -> SqliteConnection:
    """A connection with the arguments of `sqlite3.connect`; it connects when it is awaited."""
    return SqliteConnection(partial(sqlite3.connect, database, **options), _CHUNK_SIZE)


class SqliteConnection(aiosqlite.Connection):
    """A connection whose cursors have all rows of a statement when it has run."""

    def __init__(self, connector: Callable[[], sqlite3.Connection], iter_chunk_size: int) -> None:
        super().__init__(connector, iter_chunk_size)
        self._thread.daemon = True  # so that a process ends even if a connection was not closed
        self._begin = ""
        self._in_transaction = False  # or perhaps, since a cancelled statement may still run

    def begin_deferred(self) -> None:
        """Begin a transaction with the next statement, as SQLite itself does after BEGIN DEFERRED."""
        self._begin = "BEGIN DEFERRED"

    def cursor(self) -> Result[aiosqlite.Cursor]:
        """A cursor, which has one of SQLite only while a statement runs."""
        return Result(self._cursor())

    async def _cursor(self) -> aiosqlite.Cursor:
        return cast("aiosqlite.Cursor", BufferedCursor(self))

    async def run(self, statement: _Statement) -> None:
        """Run a function with a cursor in the thread, in the transaction that was begun."""
        begin, self._begin = self._begin, ""
        self._in_transaction = True
        send: Callable[..., Awaitable[None]] = self._execute  # it has no types
        await send(self._run, begin, statement)

    async def commit(self) -> None:
        """Commit the transaction, unless no statement was sent in it."""
        self._begin = ""
        if self._in_transaction:
            await super().commit()
            self._in_transaction = False

    async def rollback(self) -> None:
        """Roll the transaction back, unless no statement was sent in it: SQLAlchemy's pool rolls back once more."""
        self._begin = ""
        if self._in_transaction:
            await super().rollback()
            self._in_transaction = False

    def _run(self, begin: str, statement: _Statement) -> None:
        cursor = self._conn.cursor()
        try:
            if begin:
                cursor.execute(begin)
            statement(cursor)
        finally:
            cursor.close()


class BufferedCursor:
    """A cursor with all rows of the last statement, and what SQLAlchemy uses of aiosqlite's."""

    arraysize = 1

    def __init__(self, connection: SqliteConnection) -> None:
        self._connection = connection
        self._rows: list[Any] = []
        self.description: tuple[Any, ...] | None = None
        self.rowcount = -1
        self.lastrowid: int | None = None

    async def execute(self, statement: str, parameters: _Parameters = ()) -> Self:
        """Run a statement, and fetch its rows."""

        def run(cursor: sqlite3.Cursor) -> None:
            if statement == BEGIN_IMMEDIATE:
                begin_immediate(cursor)
            else:
                cursor.execute(statement, parameters)
            self.description = cursor.description
            self._rows = cursor.fetchall() if cursor.description else []
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

        await self._connection.run(run)
        return self

    async def executemany(self, statement: str, parameters: Sequence[_Parameters]) -> Self:
        """Run a statement with each of the parameters."""

        def run(cursor: sqlite3.Cursor) -> None:
            cursor.executemany(statement, parameters)
            self.rowcount, self.lastrowid = cursor.rowcount, cursor.lastrowid

        await self._connection.run(run)
        return self

    async def fetchall(self) -> Sequence[Any]:
        """The rows that have not been fetched."""
        rows, self._rows = self._rows, []
        return rows

    async def close(self) -> None:
        """Discard the rows."""
        self._rows = []

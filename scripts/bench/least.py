"""The minimum of a guard with a decision log, as a lower bound.

A caller is known by a dictionary of Authorization headers, a decision by another. Five columns of each decision go to
SQLite in batches, by a thread, with an index for each thing that one asks a log for. There is no verification, no
policy, no request id, no metrics and no gateway. It is no peer but a bound: the cost of a log that the same process
writes on the same core.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing

import msgspec
from litestar import Litestar
from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import EVERY_SECONDS

_TABLE = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = FULL;
CREATE TABLE decisions (at INTEGER, took INTEGER, subject TEXT, resource TEXT, action TEXT);
CREATE INDEX by_at ON decisions (at);
CREATE INDEX by_subject ON decisions (subject, at);
CREATE INDEX by_resource ON decisions (resource, at);
CREATE INDEX by_action ON decisions (action, at);
"""
_VALUES = ", ".join(f"json_extract(value, '$[{number}]')" for number in range(5))
_STORE = f"INSERT INTO decisions SELECT {_VALUES} FROM json_each(?)"
_Decision = tuple[int, int, str, str, str]


class LeastGuard:
    """A middleware that allows every request with `header`, and logs that in the background."""

    def __init__(self, header: str) -> None:
        self._grants = {header.encode(): "catalog:read"}
        self._needs: dict[tuple[str, str], str] = {}
        self._decided: list[_Decision] = []

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """The handler of a route behind the middleware."""

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            started = time.perf_counter_ns()
            sent = next(value for name, value in scope["headers"] if name == b"authorization")
            resource, action = scope["path_template"], str(scope.get("method"))
            if self._grants[sent] != self._needs.setdefault((resource, action), "catalog:read"):
                raise PermissionError
            took = time.perf_counter_ns() - started
            self._decided.append((time.time_ns(), took, "user_test", resource, action))
            await app(scope, receive, send)

        return guarded

    @asynccontextmanager
    async def running(self, _app: Litestar) -> AsyncIterator[None]:
        """Write decisions while the block runs."""
        path = os.environ["AUTHZ_DATABASE_URL"].removeprefix("sqlite:///") + "-least"
        with closing(sqlite3.connect(path, check_same_thread=False)) as database:
            database.executescript(_TABLE)
            writing = asyncio.create_task(self._write(database))
            yield
            writing.cancel()

    async def _write(self, database: sqlite3.Connection) -> None:
        while True:
            await asyncio.sleep(EVERY_SECONDS)
            rows, self._decided = self._decided, []
            await asyncio.to_thread(_store, database, msgspec.json.encode(rows).decode())


def _store(database: sqlite3.Connection, rows: str) -> None:
    with database:
        database.execute(_STORE, (rows,))

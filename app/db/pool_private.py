"""The pool of connections of an engine, which gives them to callers in turn.

All private API of SQLAlchemy's pools that this program uses is here; tests/db/test_pool_private.py fails if its meaning
changes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy.exc import TimeoutError as PoolExhausted
from sqlalchemy.pool import AsyncAdaptedQueuePool, ConnectionPoolEntry
from sqlalchemy.util import await_only

from app.db.connection_turns import Caller, ConnectionTurns, caller_of_request


class FairPool(AsyncAdaptedQueuePool):
    """A pool with as many turns as connections, so that a request with a turn finds one without waiting."""

    def __init__(self, creator: Callable[[], Any], pool_size: int = 5, max_overflow: int = 10, **options: Any) -> None:
        super().__init__(creator, pool_size, max_overflow, **options)
        self._turns = ConnectionTurns(pool_size + max_overflow)
        self._callers: dict[ConnectionPoolEntry, Caller | None] = {}

    def _do_get(self) -> ConnectionPoolEntry:
        identify = caller_of_request.get()
        caller = None if identify is None else identify()
        try:
            await_only(self._turns.take(caller, self.timeout()))
        except TimeoutError as error:
            raise PoolExhausted("no connection to the database became free in time") from error
        try:
            connection = super()._do_get()
        except BaseException:
            self._turns.give_back(caller)
            raise
        self._callers[connection] = caller
        return connection

    def _do_return_conn(self, record: ConnectionPoolEntry) -> None:
        try:
            super()._do_return_conn(record)
        finally:
            self._turns.give_back(self._callers.pop(record))

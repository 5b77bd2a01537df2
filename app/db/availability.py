"""Tells errors of an unavailable database from errors of a query."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from app.db.errors import DatabaseUnavailable

UNAVAILABLE = "The database does not answer now."
RETRY_AFTER_SECONDS = 1
ANSWER_SECONDS = 3.0  # timeout of the queries of every request
# SQLSTATE classes: a broken connection, too many connections or no space, an intervention by an operator such as a
# stop, a start or a failover, and transactions that the server aborted because of a conflict.
_AWAY = ("08", "53", "57", "25006", "25P03", "40001", "40P01", "55P03")
_SQLITE_LOCKED = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_SQLITE_AWAY = (*_SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def is_away(error: BaseException) -> bool:
    """Whether the database is unavailable, so that a retry may succeed."""
    if isinstance(error, DatabaseUnavailable | PoolExhausted | OSError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without the extended part
    return state.startswith(_AWAY) or code in _SQLITE_AWAY or code in _SQLITE_FULL


def error_name(error: BaseException) -> str:
    """The name of an error for a log, since messages of drivers show values. Those of a locked SQLite file do not."""
    if isinstance(error, DatabaseUnavailable):
        return str(error)
    cause = getattr(error, "orig", None) or error
    code = getattr(cause, "sqlite_errorcode", 0) & 0xFF
    return f"{type(cause).__name__}: {cause}" if code in _SQLITE_LOCKED else type(cause).__name__

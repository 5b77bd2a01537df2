"""Which errors say that the database is unavailable, and not that a query was wrong."""

from __future__ import annotations

import sqlite3

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolExhausted

from app.db.errors import DatabaseAway

UNAVAILABLE = "The database does not answer now."
RETRY_AFTER_SECONDS = 1
ANSWER_SECONDS = 3.0  # what is asked for every request waits for no longer
# Classes of SQLSTATE: a connection that broke, too many of them or no more space, and whatever an operator does to a
# server, such as to stop or start it, or to let another take its place. Then transactions that were ended because they
# stood in the way.
_AWAY = ("08", "53", "57", "25006", "25P03", "40001", "40P01", "55P03")
_SQLITE_AWAY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN)
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_READONLY)


def is_away(error: BaseException) -> bool:
    """Whether another try in a while makes sense, and nothing else does."""
    if isinstance(error, DatabaseAway | PoolExhausted | OSError):
        return True
    if not isinstance(error, DBAPIError):
        return False
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF  # without what extends it
    return state.startswith(_AWAY) or code in _SQLITE_AWAY or code in _SQLITE_FULL


def named(error: BaseException) -> str:
    """The error for a log: its kind, for messages of drivers show values."""
    return str(error) if isinstance(error, DatabaseAway) else type(getattr(error, "orig", None) or error).__name__

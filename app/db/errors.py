"""The errors of the database layer, in addition to those of the drivers."""

from __future__ import annotations

from sqlalchemy.exc import SQLAlchemyError


class UnusableDatabase(Exception):
    """The database URL cannot be used. The message says what is wrong with it and how to write it."""


class DatabaseUnavailable(SQLAlchemyError):
    """The database cannot be reached, refuses the connection, or did not answer in time. The message says which.

    The message contains no statement, no value and no password.
    """


class ReadOnlyDatabase(DatabaseUnavailable):
    """The server takes no writes: a standby, or a primary that was replaced."""

    def __init__(self) -> None:
        super().__init__("the PostgreSQL server is read-only: point AUTHZ_DATABASE_URL at the primary")

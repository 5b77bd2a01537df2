"""Retries a transaction that the server rolled back after a failover, a deadlock or a conflict, if that is safe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.errors import ReadOnlyDatabase

_P = ParamSpec("_P")
_R = TypeVar("_R")
# A read-only server, serialization_failure, deadlock_detected, a prepared statement of another session: nothing was
# committed.
_UNDONE = ("25006", "40001", "40P01", "42P05", "26000")
_ENDED = ("57P01", "57P02", "57P03")  # the server stops: the outcome of a commit under way is unknown


def was_undone(error: SQLAlchemyError) -> bool:
    """Whether the server committed nothing of the transaction, so that it may be retried."""
    return isinstance(error, ReadOnlyDatabase) or (isinstance(error, DBAPIError) and _state(error) in _UNDONE)


def may_read_again(error: SQLAlchemyError) -> bool:
    """Whether a read may be retried on another connection, whatever happened to the first."""
    return was_undone(error) or (isinstance(error, DBAPIError) and _state(error) in _ENDED)


def retried(
    work: Callable[Concatenate[AsyncSession, _P], Awaitable[_R]],
) -> Callable[Concatenate[AsyncSession, _P], Awaitable[_R]]:
    """Decorate a function that is one transaction: retry it once if the server rolled it back.

    In a transaction that was begun before it is not retried: what was read there decided what it writes.
    """

    @wraps(work)
    async def wrapped(session: AsyncSession, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        is_own_transaction = not session.in_transaction()
        try:
            return await work(session, *args, **kwargs)
        except SQLAlchemyError as error:
            if not (is_own_transaction and was_undone(error)):
                raise
        await session.rollback()
        return await work(session, *args, **kwargs)

    return wrapped


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""

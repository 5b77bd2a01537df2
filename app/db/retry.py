"""A second try for what the server undid: after a failover, a deadlock or a conflict, where that is safe."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.errors import ReadOnlyDatabase

_P = ParamSpec("_P")
_R = TypeVar("_R")
# A server without writes, serialization_failure, deadlock_detected, a prepared statement of another session: nothing
# was committed.
_UNDONE = ("25006", "40001", "40P01", "42P05", "26000")
_ENDED = ("57P01", "57P02", "57P03")  # the server stops: the outcome of a commit under way is unknown


def was_undone(error: SQLAlchemyError) -> bool:
    """Whether the server took nothing of the transaction, so that another one may be tried."""
    return isinstance(error, ReadOnlyDatabase) or (isinstance(error, DBAPIError) and _state(error) in _UNDONE)


def may_read_again(error: SQLAlchemyError) -> bool:
    """Whether a read may be tried on another connection: for that it does not matter what became of the first."""
    return was_undone(error) or (isinstance(error, DBAPIError) and _state(error) in _ENDED)


def retried(
    work: Callable[Concatenate[AsyncSession, _P], Awaitable[_R]],
) -> Callable[Concatenate[AsyncSession, _P], Awaitable[_R]]:
    """Let a function that is one transaction run again, once, when the server undid that.

    In a transaction that was begun before it, it runs once: what was read there decided what it writes.
    """

    @wraps(work)
    async def wrapped(session: AsyncSession, /, *args: _P.args, **kwargs: _P.kwargs) -> _R:
        is_whole = not session.in_transaction()
        try:
            return await work(session, *args, **kwargs)
        except SQLAlchemyError as error:
            if not (is_whole and was_undone(error)):
                raise
        await session.rollback()
        return await work(session, *args, **kwargs)

    return wrapped


def _state(error: DBAPIError) -> str:
    return getattr(error.orig, "sqlstate", None) or ""

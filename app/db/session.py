"""Sessions on the database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db.availability import ANSWER_SECONDS
from app.db.engine import LOCK_FIRST
from app.db.errors import ReadOnlyDatabase
from app.db.retry import may_read_again

Sessions = async_sessionmaker[AsyncSession]
_T = TypeVar("_T")


def sessions_of(engine: AsyncEngine) -> Sessions:
    """A factory of sessions on `engine`. Objects stay readable after a commit, without another query."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def lock_first(session: AsyncSession) -> None:
    """Begin a transaction that writes. One that is under way must have begun with a write.

    On SQLite it waits for the write lock here: a statement that waits for it tries rarely, so that under many other
    writers its turn hardly ever comes.
    """
    if not session.in_transaction():
        await session.connection(execution_options=LOCK_FIRST)


async def read(sessions: Sessions, find: Callable[[AsyncSession], Awaitable[_T]]) -> _T:
    """Run `find` in a new session; retry once on another connection if the server ended the first.

    Raises TimeoutError if both together take longer than `ANSWER_SECONDS`.
    """
    async with asyncio.timeout(ANSWER_SECONDS):
        try:
            async with sessions() as session:
                return await find(session)
        except SQLAlchemyError as error:
            if not may_read_again(error):
                raise
        async with sessions() as session:
            return await find(session)


async def answers(sessions: Sessions) -> None:
    """Check that the database answers. Raises the errors of the driver, TimeoutError, or ReadOnlyDatabase."""
    async with asyncio.timeout(ANSWER_SECONDS), sessions() as session:
        if session.get_bind().dialect.name != "postgresql":
            await session.execute(text("SELECT 1"))
        elif await session.scalar(text("SELECT current_setting('transaction_read_only')")) == "on":
            raise ReadOnlyDatabase

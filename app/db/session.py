"""Sessions on the database."""

from __future__ import annotations

import asyncio

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from app.db.away import ANSWER_SECONDS

Sessions = async_sessionmaker[AsyncSession]


def sessions_of(engine: AsyncEngine) -> Sessions:
    """Makes sessions on `engine`. Objects stay readable after a commit, without another query."""
    return async_sessionmaker(engine, expire_on_commit=False)


async def answers(sessions: Sessions) -> None:
    """Ask the database the smallest question. Raises what the driver raises, or TimeoutError, for want of an answer."""
    async with asyncio.timeout(ANSWER_SECONDS), sessions() as session:
        await session.execute(text("SELECT 1"))

"""Sessions: one for each request, given to handlers by the name `session`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

Sessions = async_sessionmaker[AsyncSession]


def sessions_of(engine: AsyncEngine) -> Sessions:
    """Makes sessions on `engine`. Objects stay readable after a commit, without another query."""
    return async_sessionmaker(engine, expire_on_commit=False)


def provider(sessions: Sessions) -> Callable[[], AsyncGenerator[AsyncSession]]:
    """The provider of the dependency `session`. Whatever a handler does not commit is rolled back."""

    async def provide_session() -> AsyncGenerator[AsyncSession]:
        async with sessions() as session:
            yield session

    return provide_session


async def answers(sessions: Sessions) -> None:
    """Ask the database the smallest question. Raises what the driver raises when there is no answer."""
    async with sessions() as session:
        await session.execute(text("SELECT 1"))

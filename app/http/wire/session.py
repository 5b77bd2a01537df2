"""The dependency `session` of handlers: one database session for each request that asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from litestar.datastructures import State
from sqlalchemy.ext.asyncio import AsyncSession


async def provide_session(state: State) -> AsyncGenerator[AsyncSession]:
    """A session of the application's. Whatever a handler does not commit is rolled back."""
    async with state.sessions() as session:
        yield session

"""The dependency `session` of handlers: one database session for each request that asks for it."""

from __future__ import annotations

from collections.abc import AsyncGenerator

from sqlalchemy.ext.asyncio import AsyncSession

from app.services import AnyRequest, services_of


async def provide_session(request: AnyRequest) -> AsyncGenerator[AsyncSession]:
    """A session of the application's. Whatever a handler does not commit is rolled back."""
    async with services_of(request.app).sessions() as session:
        yield session

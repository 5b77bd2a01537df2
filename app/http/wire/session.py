"""The dependency `session` of handlers: a database session for the request."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncSession

from app.services import AnyRequest, services_of


async def provide_session(request: AnyRequest) -> AsyncGenerator[AsyncSession]:
    """Provide a session, which is rolled back unless the handler commits."""
    async with services_of(request.app).sessions() as session:
        # Litestar raises the exception of a handler itself. Once it has left a generator, it is in a reference cycle,
        # with the request and its body, which stay until a collection of all garbage.
        with suppress(Exception):
            yield session

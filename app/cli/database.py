"""Opens the database for a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeVar

from app.cli.failure import fail
from app.settings import load_local

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncSession

    from app.db.session import Sessions

_R = TypeVar("_R")


def with_session(work: Callable[[AsyncSession], Awaitable[_R]]) -> _R:
    """Run `work` with one session, as `with_sessions` does."""

    async def run(sessions: Sessions) -> _R:
        async with sessions() as session:
            return await work(session)

    return with_sessions(run)


def with_sessions(work: Callable[[Sessions], Awaitable[_R]]) -> _R:
    """Run `work` with sessions on the database of the settings. Fails if that is not prepared."""

    async def run() -> _R:
        from app.db.disk import DiskSpace
        from app.db.engine import open_engine
        from app.db.migrate import schema_fault
        from app.db.session import sessions_of

        url = load_local().database_url
        if fault := await schema_fault(url):
            fail(fault)
        engine = open_engine(url)
        DiskSpace(url).watch(engine)
        try:
            return await work(sessions_of(engine))
        finally:
            await engine.dispose()

    return asyncio.run(run())

"""At the start of a process: what the last one began and did not live to finish is finished, or undone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from app.db.engine import open_engine
from app.db.session import sessions_of
from app.history.files import alone, recover
from app.policy.write import unfinished


@asynccontextmanager
async def settled(database_url: str, directory: Path) -> AsyncIterator[None]:
    """A block in which no change of the policy is half done, for whoever reads its files first.

    Raises UnusableDatabase and `write.CannotWrite`.
    """
    if not directory.is_dir():  # noqa: ASYNC240  # once, at a start; whoever reads it says so better
        yield
        return
    async with alone(directory):
        if unfinished(directory) is not None:
            engine = open_engine(database_url)
            try:
                await recover(directory, sessions_of(engine))
            finally:
                await engine.dispose()
        yield

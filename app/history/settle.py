"""At the start of a process: what the last one began and did not live to finish is finished, or undone.

And which revision was the newest when the files were read is found out, before they are: whatever is published from
then on is newer than they are, however long the process takes to start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db.session import Sessions
from app.history.entry import Entry, newest
from app.history.files import alone, recover

_PATIENCE = 5.0  # seconds, for the newest revision
_log = structlog.stdlib.get_logger("policy")


@asynccontextmanager
async def settled(sessions: Sessions, directory: Path) -> AsyncIterator[Entry | None]:
    """A block in which no change of the policy is half done, for whoever reads its files first.

    Gives the newest entry of the history, for the Follower; None when there is none or the database does not tell.
    Raises `write.CannotWrite`.
    """
    if not directory.is_dir():  # noqa: ASYNC240  # once, at a start; whoever reads it says so better
        yield None
        return
    async with alone(directory):
        await recover(directory, sessions)
        yield await _newest(sessions)


async def _newest(sessions: Sessions) -> Entry | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await newest(sessions)
    except (SQLAlchemyError, OSError) as error:
        # A process that starts meanwhile serves the files, and they are no change: what the history has is newer.
        _log.warning("the database does not tell the newest policy at the start", error=type(error).__name__)
        return None

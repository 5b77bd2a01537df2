"""At the start of a process: what the last one began and did not live to finish is finished, or undone.

And which revision was the newest when the files were read is found out, before they are: whatever is published from
then on is newer than they are, however long the process takes to start.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db import revisions
from app.db.session import Sessions
from app.history.entry import HistoryEntry, newest
from app.history.files import alone, bytes_of, recover
from app.policy.language import write

_PATIENCE = 5.0  # seconds, for the newest revision
_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class StartState:
    """What a process begins with: the newest entry of the history, for the Follower, and for the LivePolicy its files.

    The entry is None when there is none or the database does not tell. The files are None where the directory's are
    read instead, as they are unless they are half written and cannot be completed.
    """

    seen: HistoryEntry | None = None
    files: Mapping[str, bytes] | None = None


@asynccontextmanager
async def settled(sessions: Sessions, directory: Path) -> AsyncIterator[StartState]:
    """A block in which no change of the policy is half done, to read its files in for the first time.

    Raises `write.CannotWrite`.
    """
    if not directory.is_dir():  # noqa: ASYNC240  # once, at start-up; the reader reports it better
        yield StartState()
        return
    async with alone(directory):
        try:
            await recover(directory, sessions)
        except write.PolicyNotWritten as error:
            async with sessions() as session:
                row = await revisions.newest(session)
            if row is None:
                raise
            _log.error("the policy files are half written; the newest policy of the database is served", why=str(error))
            yield StartState(HistoryEntry(row.id, row.revision), bytes_of(row))
        else:
            yield StartState(await _newest(sessions))


async def _newest(sessions: Sessions) -> HistoryEntry | None:
    try:
        async with asyncio.timeout(_PATIENCE):
            return await newest(sessions)
    except (SQLAlchemyError, OSError) as error:
        # A process that starts meanwhile serves the files, and they are no change: what the history has is newer.
        _log.warning("the database does not tell the newest policy at the start", error=type(error).__name__)
        return None

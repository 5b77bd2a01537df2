"""Recovers the policy directory when a process starts: an interrupted change is finished or undone.

The newest revision is looked up before the files are read, so that every later publication counts as newer than the
files, however long the process takes to start.
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
from app.history.files import bytes_of, recover, write_lock
from app.policy.language import write

_QUERY_SECONDS = 5.0  # seconds, for the newest revision
_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class StartState:
    """What a process starts from: the newest entry, for the Follower, and the policy files, for the LivePolicy.

    The entry is None if there is none or the database does not answer. The files are None if those of the directory
    are read, which is always so unless they are half written and cannot be completed.
    """

    seen: HistoryEntry | None = None
    files: Mapping[str, bytes] | None = None


@asynccontextmanager
async def settled(sessions: Sessions, directory: Path) -> AsyncIterator[StartState]:
    """Settle interrupted changes, and let no other process write the files in this block, which reads them first.

    Raises `write.CannotWrite`.
    """
    if not directory.is_dir():  # noqa: ASYNC240  # once, at start-up; the reader reports it better
        yield StartState()
        return
    async with write_lock(directory):
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
        async with asyncio.timeout(_QUERY_SECONDS):
            return await newest(sessions)
    except (SQLAlchemyError, OSError) as error:
        # The process serves its files, which do not count as an edit: the history is newer.
        _log.warning("the database does not tell the newest policy at the start", error=type(error).__name__)
        return None

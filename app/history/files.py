"""Writes the files of a policy directory: one process at a time, and a later one finishes an interrupted write."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import structlog

from app.db import revisions
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.policy.language import write
from app.policy.language.directory import raw_files
from app.policy.language.fault import PolicyRefused
from app.policy.language.source import digest

LOCK_SECONDS = 10.0  # to wait for another process that writes
_LOOK_SECONDS = 0.01
_log = structlog.stdlib.get_logger("policy")


@asynccontextmanager
async def write_lock(directory: Path) -> AsyncIterator[None]:
    """Hold the lock on the files. Raises `write.PolicyNotWritten` if another process does not release it in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + LOCK_SECONDS
    while (lock := write.lock(directory)) is None:
        if loop.time() > deadline:
            raise write.PolicyNotWritten(
                f"the policy directory {directory} cannot be written: another process is writing it, and does not end"
            )
        await asyncio.sleep(_LOOK_SECONDS)
    try:
        yield
    finally:
        write.unlock(lock)


async def put(directory: Path, revision: str, files: Mapping[str, bytes]) -> None:
    """Write the files of an accepted revision. Hold `write_lock`. Raises `write.PolicyNotWritten`."""
    await asyncio.to_thread(write.begin, directory, revision)
    await asyncio.to_thread(write.write, directory, files)
    await asyncio.to_thread(write.finish, directory)


async def recover(directory: Path, sessions: Sessions) -> None:
    """Finish or undo an interrupted change of the files. Hold `write_lock`. Raises `write.PolicyNotWritten`.

    If the revision was accepted, old and new files may be mixed: those of the newest revision replace both. If it was
    not, the files are unchanged. Files that the history does not know may then be part of what a restored database has
    lost, and do not count as an edit.
    """
    revision = write.unfinished(directory)
    if revision is None:
        return
    async with sessions() as session:
        accepted = await revisions.was_accepted(session, revision)
        newest = await revisions.newest(session) if accepted else None
        found = await asyncio.to_thread(revision_of, directory)
        is_unknown = not (accepted or found is None or await revisions.was_accepted(session, found))
        if is_unknown and found is not None and await revisions.head(session) is not None:
            await revisions.leave_behind(session, found, datetime.now(UTC))
            await session.commit()
    if newest is not None:
        await asyncio.to_thread(write.write, directory, bytes_of(newest))
    await asyncio.to_thread(write.finish, directory)
    _log.warning("an interrupted change of the policy was settled", revision=revision, finished=newest is not None)


def revision_of(directory: Path) -> str | None:
    """The revision of the files, valid or not; None if this is not a policy directory."""
    try:
        return digest(raw_files(directory))
    except PolicyRefused:
        return None


def revision_in(directory: Path) -> str:
    """The revision of the files, valid or not. Raises `write.PolicyNotWritten` if a name or a file is refused."""
    try:
        return digest(raw_files(directory))
    except PolicyRefused as refused:
        raise write.not_written(directory, refused) from refused


def bytes_of(row: PolicyRevision) -> dict[str, bytes]:
    """The files of a revision, encoded as they are written."""
    return {name: text.encode() for name, text in revisions.files_of(row).items()}

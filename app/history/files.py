"""The files of a policy directory: written by one process at a time, and finished for one that died over it."""

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

PATIENCE = 10.0  # seconds, for another process that writes
_LOOK_SECONDS = 0.01
_log = structlog.stdlib.get_logger("policy")


@asynccontextmanager
async def alone(directory: Path) -> AsyncIterator[None]:
    """While no other process writes the files. Raises `write.CannotWrite` when another does not come to an end."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
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
    """Write the files of an accepted revision. Only while `alone`. Raises `write.CannotWrite`."""
    await asyncio.to_thread(write.begin, directory, revision)
    await asyncio.to_thread(write.write, directory, files)
    await asyncio.to_thread(write.finish, directory)


async def recover(directory: Path, sessions: Sessions) -> None:
    """Finish what a process began and did not live to finish. Only while `alone`. Raises `write.CannotWrite`.

    What it began to write, if that was accepted, may lie beside what was there before: the newest revision's files
    take the place of both. If it was not, the files are as they were; files that the history does not know then may be
    half of what a restored database has lost, and are no change.
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
    """The revision that the files make, good or not; None for what is no policy directory."""
    try:
        return digest(raw_files(directory))
    except PolicyRefused:
        return None


def revision_in(directory: Path) -> str:
    """The revision that the files make, good or not. Raises `write.CannotWrite` where a name or a file is refused."""
    try:
        return digest(raw_files(directory))
    except PolicyRefused as refused:
        raise write.refusing(directory, refused) from refused


def bytes_of(row: PolicyRevision) -> dict[str, bytes]:
    """The files of a revision as they are written."""
    return {name: text.encode() for name, text in revisions.files_of(row).items()}

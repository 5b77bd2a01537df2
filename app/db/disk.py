"""The disk of the database: below a reserve only what ends or narrows access is written.

Of SQLite's disk the free space is known. A small file beside the database holds some of it, in case other programs take
all the rest: it is deleted when a write finds no room. Of a PostgreSQL server's disk only its errors are known.
"""

from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import structlog
from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.audit.periodic_task import pause
from app.db.engine import sqlite_file

FULL = "The disk of the database is full."
SHORT = "The disk of the database is almost full: what is left is kept for revocations."
RETRY_AFTER_SECONDS = 60
RESERVE_MB = 32
BALLAST_BYTES = 1024 * 1024
BALLAST_SUFFIX = "-reserve"
EVERY_SECONDS = 5.0
HELD_BACK_SECONDS = 30.0  # after a write that found no room
_MB = 1024 * 1024
# The second when not even the file by which processes share the log can be made.
_SQLITE_FULL = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_SHMSIZE)
_DISK_FULL = "53100"  # SQLSTATE, https://www.postgresql.org/docs/current/errcodes-appendix.html
_log = structlog.stdlib.get_logger("database")
_T = TypeVar("_T")


def is_full(error: BaseException | None) -> bool:
    """Whether a write failed because there is no space left, at SQLite, at PostgreSQL or in the file system."""
    if isinstance(error, DBAPIError):
        return is_full(error.orig)
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    code = getattr(error, "sqlite_errorcode", 0)
    return code in _SQLITE_FULL or getattr(error, "sqlstate", None) == _DISK_FULL


class DiskSpace:
    """How much room the database of a URL has. `shortage` says why only the most important is written; empty if all is.

    `reserve_mb` is how much of the disk is left to revocations and policies.
    """

    def __init__(self, url: str, reserve_mb: float = RESERVE_MB) -> None:
        self._file = sqlite_file(url)
        self._reserve = int(reserve_mb * _MB)
        self._full_until = 0.0
        self._is_low = False
        self._was_short = False

    @property
    def shortage(self) -> str:
        """Why there is no room for what grows; empty when there is."""
        if time.monotonic() < self._full_until:
            return FULL
        return SHORT if self._is_low else ""

    def watch(self, engine: AsyncEngine) -> None:
        """Hear of every statement on this engine that finds no room."""
        # First, for what others make of an error may hide it.
        event.listen(engine.sync_engine, "handle_error", self._hear, insert=True)

    def note(self, error: BaseException) -> None:
        """Take notice of an error of the database, whatever it is."""
        if is_full(error):
            self._full_until = time.monotonic() + HELD_BACK_SECONDS
            self.release()
            self._say()

    async def run(self, stop: asyncio.Event) -> None:
        """Look every few seconds, until `stop`, and log when room runs out and when there is some again."""
        while not stop.is_set():
            await asyncio.to_thread(self.look)
            self._say()
            await pause(stop, EVERY_SECONDS)

    def release(self) -> bool:
        """Free the space that is held; False where there is none."""
        if self._file is None or not (held := _ballast(self._file)).exists():
            return False
        held.unlink(missing_ok=True)
        return True

    @property
    def free_mb(self) -> float | None:
        """What is free on the disk of a file; None where that is not known."""
        free = self._free()
        return None if free is None else round(free / _MB, 1)

    def look(self) -> None:
        """See how much room there is now, and hold some of it while there is enough."""
        free = self._free()
        self._is_low = free is not None and free < self._reserve
        if free is not None and self._file is not None and free >= self._reserve + 2 * BALLAST_BYTES:
            _hold(_ballast(self._file))

    def _say(self) -> None:
        if bool(self.shortage) != self._was_short:
            self._was_short = bool(self.shortage)
            if self._was_short:
                _log.error(self.shortage, free_mb=self.free_mb, reserve_mb=self._reserve / _MB)
            else:
                _log.info("the disk of the database has room again", free_mb=self.free_mb)

    def _free(self) -> int | None:
        if self._file is None:
            return None
        try:
            found = os.statvfs(self._file.parent)
        except OSError:
            return None  # the folder is gone, which the next statement says better
        return found.f_bavail * found.f_frsize

    def _hear(self, context: ExceptionContext) -> None:
        self.note(context.original_exception)


async def with_last_space(session: AsyncSession, work: Callable[[], Awaitable[_T]]) -> _T:
    """Do what commits on a session; once more where the disk was full, for then the space that was held is free."""
    try:
        return await work()
    except DBAPIError as error:
        if not is_full(error):
            raise
    await session.rollback()
    return await work()


def _ballast(file: Path) -> Path:
    return file.with_name(file.name + BALLAST_SUFFIX)


def _hold(ballast: Path) -> None:
    """Hold space on the disk by a file of its own, if it is not there yet."""
    if ballast.exists():
        return
    try:
        handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, BALLAST_BYTES)
        finally:
            os.close(handle)
    except FileExistsError:
        pass  # another process was quicker
    except OSError as error:
        ballast.unlink(missing_ok=True)
        _log.warning("no space could be held for revocations", error=type(error).__name__)

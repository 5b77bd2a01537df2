"""The disk space of the database: below a reserve only changes that end or narrow access are written.

For SQLite the free space is known. A small file next to the database reserves some of it, in case other programs take
the rest: it is deleted when a write fails for lack of space. For PostgreSQL only the errors of the server are known.
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
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession

from app.audit.periodic_task import pause
from app.db.engine import sqlite_file
from app.db.retry import was_undone

FULL = "The disk of the database is full."
SHORT = "The disk of the database is almost full: what is left is kept for revocations."
RETRY_AFTER_SECONDS = 60
RESERVE_MB = 32
BALLAST_BYTES = 1024 * 1024
BALLAST_SUFFIX = "-reserve"
EVERY_SECONDS = 5.0
HELD_BACK_SECONDS = 30.0  # after a write that failed for lack of space
_RETRIES = 2  # of an act that ends access
_MB = 1024 * 1024
# The second: the shared-memory file of the write-ahead log cannot be created.
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


class DiskShortage(Exception):
    """Only revocations and policies are written now; the message says why."""


class DiskSpace:
    """Watches the disk space of the database of a URL.

    `reserve_mb` is kept for revocations and policies.
    """

    def __init__(self, url: str, reserve_mb: float = RESERVE_MB) -> None:
        self._file = sqlite_file(url)
        self._reserve = int(reserve_mb * _MB)
        self._full_until = 0.0
        self._is_low = False
        self._was_short = False

    @property
    def shortage(self) -> str:
        """Why only revocations and policies are written; empty if there is enough space."""
        if time.monotonic() < self._full_until:
            return FULL
        return SHORT if self._is_low else ""

    def require_space(self) -> None:
        """Raises DiskShortage while only revocations and policies are written."""
        if why := self.shortage:
            raise DiskShortage(why)

    def watch(self, engine: AsyncEngine) -> None:
        """Note every statement on this engine that fails for lack of space."""
        # Inserted first, since other listeners may replace the error.
        event.listen(engine.sync_engine, "handle_error", self._on_error, insert=True)

    def note(self, error: BaseException) -> None:
        """Note an error of the database; only lack of space matters."""
        if is_full(error):
            self._full_until = time.monotonic() + HELD_BACK_SECONDS
            self.release()
            self._log_change()

    async def run(self, stop: asyncio.Event) -> None:
        """Check the space every few seconds until `stop`, and log when it runs out and when it is back."""
        while not stop.is_set():
            await asyncio.to_thread(self.check_space)
            self._log_change()
            await pause(stop, EVERY_SECONDS)

    def release(self) -> bool:
        """Free the reserved space; return False if there is none."""
        if self._file is None or not (held := _ballast(self._file)).exists():
            return False
        held.unlink(missing_ok=True)
        return True

    @property
    def free_mb(self) -> float | None:
        """The free space on the disk of a SQLite file; None for PostgreSQL."""
        free = self._free()
        return None if free is None else round(free / _MB, 1)

    def check_space(self) -> None:
        """Check the free space, and reserve some of it while there is enough."""
        free = self._free()
        self._is_low = free is not None and free < self._reserve
        if free is not None and self._file is not None and free >= self._reserve + 2 * BALLAST_BYTES:
            _reserve_space(_ballast(self._file))

    def _log_change(self) -> None:
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
            return None  # the folder is missing, which the next statement reports
        return found.f_bavail * found.f_frsize

    def _on_error(self, context: ExceptionContext) -> None:
        self.note(context.original_exception)


async def carry_out(session: AsyncSession, work: Callable[[], Awaitable[_T]]) -> _T:
    """Run `work`, which ends access and commits the session; retry it if nothing was committed.

    That is if the disk was full, whose reserved space is free then, and after a deadlock, for example with what an app
    does at the token endpoint meanwhile.
    """
    for _ in range(_RETRIES):
        try:
            return await work()
        except SQLAlchemyError as error:
            if not (is_full(error) or was_undone(error)):
                raise
        await session.rollback()
    return await work()


def _ballast(file: Path) -> Path:
    return file.with_name(file.name + BALLAST_SUFFIX)


def _reserve_space(ballast: Path) -> None:
    """Reserve space on the disk with a file, unless it exists."""
    if ballast.exists():
        return
    try:
        handle = os.open(ballast, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(handle, 0, BALLAST_BYTES)
        finally:
            os.close(handle)
    except FileExistsError:
        pass  # another process created it
    except OSError as error:
        ballast.unlink(missing_ok=True)
        _log.warning("no space could be held for revocations", error=type(error).__name__)

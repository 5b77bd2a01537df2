"""This process among others: it hears what they change, asks each second all the same, and says that it lives."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app import __version__
from app.audit.periodic_task import pause
from app.db.availability import named
from app.db.engine import is_embedded, sqlite_file
from app.db.heartbeat_connection import Account, HeartbeatConnection, HeartbeatExpired, open_heartbeat_connection
from app.history.entry import HistoryEntry, newest
from app.history.follower import Follower

POLL_SECONDS = 1.0
BEAT_SECONDS = 1.0
EMBEDDED_BEAT_SECONDS = 5.0  # each is a write, and the one who waits for it is on the same machine
LIVE_BEATS = 4  # a process that missed so many does not count as live
_PATIENCE = 5.0  # seconds for the smallest questions
_FOLLOW_PATIENCE = 30.0  # seconds, to read, check and write a policy
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0  # seconds
_AGE_SECONDS = 0.2  # between two looks at the age of the policy
_FORGET_SECONDS = 3600.0
_log = structlog.stdlib.get_logger("policy")


def beat_seconds(url: str) -> float:
    """How often each process says that it lives."""
    return EMBEDDED_BEAT_SECONDS if is_embedded(url) else BEAT_SECONDS


class FileReplaced(Exception):
    """Another file has the name of the SQLite database, as after a restore: what is open is of no use any more."""


class ReplicaSync:
    """Keeps a process in touch with the database.

    `forget` is called with the id of a changed key, `forget_all` when any may have changed. Beyond `max_stale` seconds
    without an answer of the database nothing is decided any more. `renew` discards the connections of the pool.
    """

    def __init__(
        self,
        follower: Follower,
        url: str,
        *,
        renew: Callable[[], Awaitable[None]],
        forget: Callable[[int], None],
        forget_all: Callable[[], None],
        max_stale: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._live = follower.live
        self._url = url
        self._renew = renew
        self._file = sqlite_file(url)
        self._forget = forget
        self._forget_all = forget_all
        self._max_stale = max_stale
        self._clock = clock
        self._beat_seconds = beat_seconds(url)
        self._wake = asyncio.Event()
        self._contact = clock()
        self._is_lost = False
        self._losses = follower.losses
        self._line_fault: type[Exception] | None = None  # it was logged
        self._started_at = datetime.now(UTC)
        self._row: int | None = None
        self._told: Account | None = None
        self._told_at = self._forgot_at = clock()
        self._live.on_reload(lambda _: self._wake.set())

    @property
    def row(self) -> int | None:
        """The id of this process's row, once it has one."""
        return self._row

    @property
    def contact_age(self) -> float:
        """Seconds since the database answered last what the newest revision is."""
        return self._clock() - self._contact

    async def begin(self) -> None:
        """Take over the newest revision before anybody is served, if the database answers."""
        try:
            await self._follower.follow()
        except Exception as error:  # noqa: BLE001  # what was there at the start serves; `run` goes on trying
            self._lose(error)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop` is set, through every loss of the connection."""
        retry = _FIRST_RETRY
        stopping = asyncio.create_task(self._wake_at(stop))
        aging = asyncio.create_task(self._watch_age())
        try:
            while not stop.is_set():
                try:
                    opened = _identity(self._file)
                    async with open_heartbeat_connection(self._url, self._hear, self._wake.set) as line:
                        # A notification sent while no connection listened is not repeated.
                        self._forget_all()
                        async for _ in self._beats(line, stop):
                            retry = _FIRST_RETRY
                            if opened and (now := _identity(self._file)) and now != opened:
                                await self._renew()
                                raise FileReplaced
                            self._line_fault = None
                        await self._leave(line)
                except HeartbeatExpired:
                    continue
                except Exception as error:  # noqa: BLE001  # whatever it is, the process must find its way back
                    await self._ask_otherwise(error)
                    await pause(stop, retry)
                    retry = min(2 * retry, _LAST_RETRY)
        finally:
            for task in (stopping, aging):
                task.cancel()
            await asyncio.gather(stopping, aging, return_exceptions=True)

    async def _beats(self, line: HeartbeatConnection, stop: asyncio.Event) -> AsyncIterator[None]:
        while not stop.is_set():
            self._wake.clear()
            # Counted from the question: the answer may be as old as that.
            asked = self._clock()
            async with asyncio.timeout(_PATIENCE):
                found = await line.head()
            if self._follower.is_due(HistoryEntry(*found) if found else None):
                async with asyncio.timeout(_FOLLOW_PATIENCE):
                    await self._follower.follow()
            self._find(asked)
            await self._tell(line)
            yield
            await pause(self._wake, POLL_SECONDS)

    async def _ask_otherwise(self, lost: Exception) -> None:
        """While there is no line: over a connection of the pool, as requests do."""
        asked = self._clock()
        try:
            async with asyncio.timeout(_PATIENCE):
                found = await newest(self._follower.sessions)
            if self._follower.is_due(found):
                async with asyncio.timeout(_FOLLOW_PATIENCE):
                    await self._follower.follow()
        except Exception:  # noqa: BLE001  # that the line was lost says more
            self._lose(lost)
        else:
            if type(lost) is not self._line_fault:
                self._line_fault = type(lost)
                _log.warning("the database does not answer; reconnecting", error=named(lost))
            self._find(asked)

    async def _tell(self, line: HeartbeatConnection) -> None:
        account = self._account()
        now = self._clock()
        async with asyncio.timeout(_PATIENCE):
            if self._row is None or now - self._forgot_at >= _FORGET_SECONDS:
                await line.forget()
                self._forgot_at = now
            if account != self._told or now - self._told_at >= self._beat_seconds - _AGE_SECONDS:
                self._row = await line.beat(self._row, account)
                self._told, self._told_at = account, now

    async def _leave(self, line: HeartbeatConnection) -> None:
        if self._row is not None:
            async with asyncio.timeout(_PATIENCE):
                await line.leave(self._row)

    def _account(self) -> Account:
        follower = self._follower
        refused = follower.refused
        return Account(
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            version=__version__,
            revision=self._live.active.revision,
            entry_id=follower.at.id if follower.at else None,
            started_at=self._started_at,
            refused=str(refused.faults[0]) if refused else "",
            files=follower.behind,
        )

    def _hear(self, payload: str) -> None:
        what, _, which = payload.partition(" ")
        if what == "key" and which.isascii() and which.isdigit():
            self._forget(int(which))
        else:
            self._wake.set()

    def _find(self, asked: float) -> None:
        self._contact = asked
        if self._follower.losses != self._losses:
            # Keys may be lost, or valid again, as well.
            self._losses = self._follower.losses
            self._forget_all()
        if self._is_lost:
            self._is_lost = False
            _log.info("the database answers again")
        if self._live.suspended:
            self._live.resume()
            _log.warning("deciding again, by the newest policy", revision=self._live.active.revision)

    def _lose(self, error: Exception) -> None:
        if not self._is_lost:
            self._is_lost = True
            # An error of the database may hold what a log must not; of any other one wants to know where it is from.
            unknown = None if isinstance(error, SQLAlchemyError | OSError) else error
            _log.error(
                "the database does not tell the newest policy; the last one decides on",
                error=type(error).__name__,
                exc_info=unknown,
            )

    async def _watch_age(self) -> None:
        while self._max_stale is not None:
            if self.contact_age > self._max_stale and not self._live.suspended:
                self._live.suspend()
                _log.error("the policy may be out of date: nothing is decided", age_seconds=round(self.contact_age))
            await asyncio.sleep(min(_AGE_SECONDS, self._max_stale / 4))

    async def _wake_at(self, stop: asyncio.Event) -> None:
        await stop.wait()
        self._wake.set()


def _identity(file: Path | None) -> tuple[int, int] | None:
    """The file that has a name now; None where there is none, as for a moment while it is replaced."""
    try:
        status = file.stat() if file else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None

"""Keeps this process in step with the others: listens for changes, polls every second, and sends a heartbeat."""

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
from app.db.availability import error_name
from app.db.engine import is_embedded, sqlite_file
from app.db.heartbeat_connection import HeartbeatConnection, HeartbeatExpired, ReplicaReport, open_heartbeat_connection
from app.history.entry import HistoryEntry, newest
from app.history.follower import Follower

POLL_SECONDS = 1.0
BEAT_SECONDS = 1.0
EMBEDDED_BEAT_SECONDS = 5.0  # each is a write to the file
LIVE_BEATS = 4  # a process that missed more heartbeats does not count as live
_QUERY_SECONDS = 5.0  # timeout of a short query
_FOLLOW_SECONDS = 30.0  # timeout to read, check and write a policy
_FIRST_RETRY, _LAST_RETRY = 0.05, 1.0  # seconds
_AGE_SECONDS = 0.2  # between two checks of the age of the policy
_FORGET_SECONDS = 3600.0
_log = structlog.stdlib.get_logger("policy")


def beat_seconds(url: str) -> float:
    """The interval between two heartbeats of a process."""
    return EMBEDDED_BEAT_SECONDS if is_embedded(url) else BEAT_SECONDS


class FileReplaced(Exception):
    """The file of the SQLite database was replaced, as by a restore: open connections are stale."""


class ReplicaSync:
    """Keeps a process in touch with the database.

    `invalidate` is called with the id of a changed key, `invalidate_app` with the tag of what changed of the access of
    apps, and `invalidate_all` when anything may have changed. After `max_stale` seconds without an answer of the
    database, every request is refused. `renew` discards the connections of the pool.
    """

    def __init__(
        self,
        follower: Follower,
        url: str,
        *,
        renew: Callable[[], Awaitable[None]],
        invalidate: Callable[[int], None],
        invalidate_app: Callable[[str], None],
        invalidate_all: Callable[[], None],
        max_stale: float | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._follower = follower
        self._live = follower.live
        self._url = url
        self._renew = renew
        self._file = sqlite_file(url)
        self._invalidate = invalidate
        self._invalidate_app = invalidate_app
        self._invalidate_all = invalidate_all
        self._max_stale = max_stale
        self._clock = clock
        self._beat_seconds = beat_seconds(url)
        self._wake = asyncio.Event()
        self._contact = clock()
        self._is_out = False
        self._losses = follower.losses
        self._logged_fault: type[Exception] | None = None
        self._started_at = datetime.now(UTC)
        self._row: int | None = None
        self._reported: ReplicaReport | None = None
        self._reported_at = self._forgot_at = clock()
        self._live.on_reload(lambda _: self._wake.set())

    @property
    def row(self) -> int | None:
        """The id of this process's row, once it has one."""
        return self._row

    @property
    def contact_age(self) -> float:
        """Seconds since the database last returned the newest revision."""
        return self._clock() - self._contact

    async def begin(self) -> None:
        """Take over the newest revision before requests are served, if the database answers."""
        try:
            await self._follower.follow()
        except Exception as error:  # noqa: BLE001  # the policy of the start is served; `run` retries
            self._note_outage(error)

    async def run(self, stop: asyncio.Event) -> None:
        """Follow until `stop` is set; reconnect whenever the connection is lost."""
        retry = _FIRST_RETRY
        stopping = asyncio.create_task(self._wake_at(stop))
        aging = asyncio.create_task(self._watch_age())
        try:
            while not stop.is_set():
                try:
                    opened = _identity(self._file)
                    async with open_heartbeat_connection(
                        self._url, self._on_notification, self._wake.set
                    ) as connection:
                        # A notification sent while no connection listened is not repeated.
                        self._invalidate_all()
                        async for _ in self._beats(connection, stop):
                            retry = _FIRST_RETRY
                            if opened and (now := _identity(self._file)) and now != opened:
                                await self._renew()
                                raise FileReplaced
                            self._logged_fault = None
                        await self._leave(connection)
                except HeartbeatExpired:
                    continue
                except Exception as error:  # noqa: BLE001  # the task must survive every error
                    await self._follow_by_pool(error)
                    await pause(stop, retry)
                    retry = min(2 * retry, _LAST_RETRY)
        finally:
            for task in (stopping, aging):
                task.cancel()
            await asyncio.gather(stopping, aging, return_exceptions=True)

    async def _beats(self, connection: HeartbeatConnection, stop: asyncio.Event) -> AsyncIterator[None]:
        while not stop.is_set():
            self._wake.clear()
            # The age counts from the query: its answer may be as old as that.
            queried_at = self._clock()
            async with asyncio.timeout(_QUERY_SECONDS):
                found = await connection.head()
            if self._follower.is_due(HistoryEntry(*found) if found else None):
                async with asyncio.timeout(_FOLLOW_SECONDS):
                    await self._follower.follow()
            self._note_contact(queried_at)
            await self._report(connection)
            yield
            await pause(self._wake, POLL_SECONDS)

    async def _follow_by_pool(self, lost: Exception) -> None:
        """Follow over a connection of the pool while the heartbeat connection is lost."""
        queried_at = self._clock()
        try:
            async with asyncio.timeout(_QUERY_SECONDS):
                found = await newest(self._follower.sessions)
            if self._follower.is_due(found):
                async with asyncio.timeout(_FOLLOW_SECONDS):
                    await self._follower.follow()
        except Exception:  # noqa: BLE001  # the loss of the heartbeat connection says more
            self._note_outage(lost)
        else:
            if type(lost) is not self._logged_fault:
                self._logged_fault = type(lost)
                _log.warning("the database does not answer; reconnecting", error=error_name(lost))
            self._note_contact(queried_at)

    async def _report(self, connection: HeartbeatConnection) -> None:
        report = self._current_report()
        now = self._clock()
        async with asyncio.timeout(_QUERY_SECONDS):
            if self._row is None or now - self._forgot_at >= _FORGET_SECONDS:
                await connection.forget()
                self._forgot_at = now
            if report != self._reported or now - self._reported_at >= self._beat_seconds - _AGE_SECONDS:
                self._row = await connection.beat(self._row, report)
                self._reported, self._reported_at = report, now

    async def _leave(self, connection: HeartbeatConnection) -> None:
        if self._row is not None:
            async with asyncio.timeout(_QUERY_SECONDS):
                await connection.leave(self._row)

    def _current_report(self) -> ReplicaReport:
        follower = self._follower
        refused = follower.refused
        return ReplicaReport(
            host=socket.gethostname()[:255],
            pid=os.getpid(),
            version=__version__,
            revision=self._live.active.revision,
            entry_id=follower.at.id if follower.at else None,
            started_at=self._started_at,
            refused=str(refused.faults[0]) if refused else "",
            files=follower.behind,
        )

    def _on_notification(self, payload: str) -> None:
        kind, _, changed = payload.partition(" ")
        if kind == "key" and changed.isascii() and changed.isdigit():
            self._invalidate(int(changed))
        elif kind == "app":
            self._invalidate_app(changed)
        else:
            self._wake.set()

    def _note_contact(self, queried_at: float) -> None:
        self._contact = queried_at
        if self._follower.losses != self._losses:
            # A restore may have lost keys, or made revoked ones valid again.
            self._losses = self._follower.losses
            self._invalidate_all()
        if self._is_out:
            self._is_out = False
            _log.info("the database answers again")
        if self._live.suspended:
            self._live.resume()
            _log.warning("deciding again, by the newest policy", revision=self._live.active.revision)

    def _note_outage(self, error: Exception) -> None:
        if not self._is_out:
            self._is_out = True
            # The message of a database error may show values; of any other error the traceback is wanted.
            unexpected = None if isinstance(error, SQLAlchemyError | OSError) else error
            _log.error(
                "the database does not tell the newest policy; the last one stays active",
                error=type(error).__name__,
                exc_info=unexpected,
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
    """The device and inode of a file; None if it is missing, as for a moment while it is replaced."""
    try:
        status = file.stat() if file else None
    except OSError:
        return None
    return (status.st_dev, status.st_ino) if status else None

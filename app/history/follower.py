"""Takes over what others made the policy: the newest revision of the database is what every process serves.

A change of this process's own files is stored as a revision, if they held the active policy before; else it would undo
what others changed.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import FILES
from app.db import admin_actions, revisions
from app.db.engine import LOCK_FIRST
from app.db.revisions import ParentConflict
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.history.directory import PolicyDirectory
from app.history.entry import HistoryEntry, entry_of
from app.history.files import alone, bytes_of, recover
from app.history.stamp import read_stamp
from app.logs import first_lines
from app.policy.engine.live import LivePolicy, LoadFailure, build
from app.policy.engine.snapshot import Snapshot
from app.policy.language import write
from app.policy.language.diff import changes
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import parse
from app.policy.language.source import from_bytes

_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class _PendingEntry:
    """An entry that is not taken over yet, and whether the history has what is active until then.

    `lost` is what was taken over last, where the history has that no more.
    """

    row: PolicyRevision | None
    was_kept: bool
    lost: HistoryEntry | None


class Follower:
    """Keeps the active policy at the newest revision.

    `seen` is what was the newest before the files were read first: what they change, they change from there. With
    `files_win` they are a change then even if the history knows them. With `only_looks` it writes neither files nor
    rows.
    """

    def __init__(
        self,
        live: LivePolicy,
        sessions: Sessions,
        seen: HistoryEntry | None,
        *,
        files_win: bool,
        only_looks: bool = False,
    ) -> None:
        self.live = live
        self.sessions = sessions
        self.one_at_a_time = asyncio.Lock()
        self.head: HistoryEntry | None = None  # the newest that is known
        self.at: HistoryEntry | None = None  # the newest that was taken over
        self.refused: LoadFailure | None = None  # why `head` was not
        self.unsettled = False  # a change was begun here, and it is not known yet whether it was stored
        self.losses = 0  # how often the history lacked what it had before
        self.files = PolicyDirectory(live, sessions)
        self._seen = seen
        self._files_win = files_win
        self._only_looks = only_looks
        self._begun = False
        self._is_emptied = False  # the history had an entry, and has none

    @property
    def behind(self) -> str:
        """Why the files do not hold what is active; empty when they do."""
        return self.files.behind

    def is_due(self, head: HistoryEntry | None) -> bool:
        """Whether there is something to do, now that this is known to be the newest entry."""
        if self.files.is_due:
            return True
        if head is None or not self._begun or self.unsettled:
            return True
        return head != self.head if self.refused else head != self.at

    async def follow(self) -> None:
        """Take over the newest revision, if that is not done yet. Raises what the database does."""
        async with self.one_at_a_time:
            await self.catch_up()

    async def note_active(self) -> bool:
        """Store the active policy as a revision, when it came by a change of its files; False when it could not be."""
        async with self.one_at_a_time:
            try:
                await self.catch_up()
            except (SQLAlchemyError, OSError) as error:
                revision = self.live.active.revision
                _log.error("the revision is not stored yet", revision=revision, error=type(error).__name__)
                return False
        return True

    async def catch_up(self) -> None:
        """Store what came by the files and take over what came from elsewhere. The caller holds `one_at_a_time`."""
        if not self._begun:
            await self._begin()
        if self.unsettled:
            await self._settle()
        while True:
            before = self.live.active.revision
            is_stored = self.at is not None and self.at.revision == before
            if not (is_stored or self._only_looks or self.refused):
                await self._store()
            async with self.sessions() as session:
                entry = entry_of(await revisions.head(session))
                self.files.origin = await revisions.origin(session)
                news = await self._read(session, entry, before) if entry else None
            if entry is None:
                self._find_nothing()
                break
            if await self._take_over(entry, news, before):
                break
        if not self._only_looks:
            await self.files.retry()
            await self.files.store()
            await self.files.stamp(self.at)

    async def head_here(self, session: AsyncSession) -> PolicyRevision:
        """The newest revision, upon which another may follow. Raises ParentConflict.

        It is the active policy: one that came by its files is added first.
        """
        active = self.live.active
        head = await revisions.head(session)
        if head is not None and head.revision == active.revision:
            return head
        if head is not None and self.refused is not None and entry_of(head) == self.head:
            return head  # no process could load it: what follows replaces it anyway
        if entry_of(head) != self.at and not (head is None and self._is_emptied):
            raise ParentConflict
        message = "The files were changed in the policy directory." if head else "The policy as it was found."
        now = datetime.now(UTC)
        row = await revisions.add(
            session,
            parent=head,
            revision=active.revision,
            kind="files",
            author="",
            message=message,
            widens=False,
            changes=(),
            files=active.policy.source.files,
            now=now,
        )
        if head is not None:
            details = {"parent": head.revision}
            admin_actions.record(
                session, FILES, "policy.files", row.revision, now=now, message=message, details=details
            )
        return row

    async def _begin(self) -> None:
        """At the start: files that the history knows, or has lost, are old; others are a change."""
        found, seen = self.live.active.revision, self._seen
        async with self.sessions() as session:
            was_accepted = await revisions.was_accepted(session, found)
            was_left_behind = await revisions.was_left_behind(session, found)
            origin = await revisions.origin(session)
        stamp = await asyncio.to_thread(read_stamp, self.live.directory)
        self._begun = True
        if seen is None:
            return
        is_old = was_left_behind or (was_accepted and not self._files_win)
        if stamp is not None and not was_accepted and (stamp.history, stamp.revision) == (origin, found):
            self._lose(HistoryEntry(stamp.entry, found), seen)
            is_old = True
        if seen.revision == found or not is_old:
            self.head = self.at = seen

    def _lose(self, lost: HistoryEntry, entry: HistoryEntry) -> None:
        """Say that the history has no more what it had, as after a restore."""
        self.losses += 1
        self.files.lost = lost.revision
        _log.error(
            "the database was restored: its history lacks the policy that was served here",
            lost_entry=lost.id,
            lost_revision=lost.revision,
            **_of(entry),
        )

    def _find_nothing(self) -> None:
        """Without any history there is nothing to take over; one that was there may be about to be restored."""
        self.head = None
        if self.at is not None and not self._is_emptied:
            self._is_emptied = True
            self.losses += 1
            _log.error(
                "the history in the database is empty, and was not: the last policy decides on until one is published",
                lost_entry=self.at.id,
                lost_revision=self.at.revision,
            )

    async def _settle(self) -> None:
        """Finish or undo a change whose outcome was left open, as when the database died over it."""
        try:
            async with self.live.held(), alone(self.live.directory):
                await recover(self.live.directory, self.sessions)
        except write.PolicyNotWritten as error:
            _log.error("a change of the policy is not settled yet", error=str(error))
        else:
            self.unsettled = False

    async def _store(self) -> None:
        try:
            async with self.sessions() as session:
                await session.connection(execution_options=dict(LOCK_FIRST))
                row = await self.head_here(session)
                await session.commit()
        except ParentConflict:
            return  # and what follows takes over the winner
        # What was stored: the files may have changed once more meanwhile.
        self.arrive(HistoryEntry(row.id, row.revision))

    def arrive(self, entry: HistoryEntry) -> None:
        """The active policy is, or is about to be, that of the newest entry."""
        self.head = self.at = entry
        self.refused = self.live.awaited = None
        self._is_emptied = False
        self.files.arrived()

    async def _read(self, session: AsyncSession, entry: HistoryEntry, before: str) -> _PendingEntry | None:
        """What has to be known to take over an entry; None where there is nothing to take over."""
        if (
            entry.revision == self.live.active.revision
            or entry == self.at
            or (self.refused is not None and entry == self.head)
        ):
            return None  # and what was refused will not be better now
        row = await revisions.entry(session, entry.id)
        at = self.at
        lost = at if at is not None and not await revisions.holds(session, at.id, at.revision) else None
        return _PendingEntry(row, await revisions.was_accepted(session, before), lost)

    async def _take_over(self, entry: HistoryEntry, news: _PendingEntry | None, before: str) -> bool:
        """Make the newest entry's policy active; False when the files have changed what is since `before`."""
        self.head = entry
        if entry == self.at:
            if self.refused is not None:
                self.arrive(entry)  # what was newer is gone, as after a restore
            return True
        if entry.revision == self.live.active.revision:
            self.arrive(entry)
            async with self.live.held():
                await self._write_files()
            return True
        if news is None:
            return self.refused is not None
        if news.lost:
            self._lose(news.lost, entry)
        try:
            snapshot = await asyncio.to_thread(self._built, entry, news.row)
        except PolicyRefused as refused:
            self.refused = LoadFailure(datetime.now(UTC), refused.faults)
            self.live.awaited = entry.revision
            faults = first_lines(refused.faults)
            _log.error("the newest policy is refused here; the last good one decides on", **_of(entry), faults=faults)
            return True
        changed = await asyncio.to_thread(changes, self.live.active.policy, snapshot.policy)
        async with self.live.held():
            if self.live.active.revision != before:
                return False
            if not news.was_kept:
                self.files.leave_behind(before)
                if before != self.files.lost:
                    _log.warning("others changed the policy first; these changed files are not taken", revision=before)
            self.arrive(entry)
            try:
                self.live.take(snapshot, changed)
            finally:
                await self._write_files()
        return True

    def _built(self, entry: HistoryEntry, row: PolicyRevision | None) -> Snapshot:
        """The policy of a revision over this process's own routes. Raises PolicyRefused with every fault."""
        try:
            files = bytes_of(row) if row else {}
        except (zlib.error, json.JSONDecodeError, UnicodeError) as error:
            raise PolicyRefused([_broken(entry)]) from error
        snapshot = build(parse(from_bytes(files), self.live.active.policy), self.live.table)
        if snapshot.revision != entry.revision:
            raise PolicyRefused([_broken(entry)])
        return snapshot

    async def _write_files(self) -> None:
        if not self._only_looks:
            await self.files.follow()


def _of(entry: HistoryEntry) -> dict[str, object]:
    return {"entry": entry.id, "revision": entry.revision}


def _broken(entry: HistoryEntry) -> Fault:
    message = f"the database holds other files than those of the revision {entry.revision}"
    return Fault("broken-revision", ".", 0, 0, message, "publish a good policy")

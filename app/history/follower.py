"""Keeps a process at the newest revision of the database.

An edit of the policy files is stored as a revision if they held the active policy before. Otherwise it would undo what
other processes changed.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import revisions
from app.db.engine import LOCK_FIRST
from app.db.revisions import ParentConflict
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.history.directory import PolicyDirectory
from app.history.entry import HistoryEntry, PendingEntry, entry_of, read_pending
from app.history.files import recover, write_lock
from app.history.files_revision import add_files
from app.history.follower_state import Behind, Current, Empty, FollowerState, Refused, Unplaced, Unread
from app.history.stamp import read_stamp
from app.history.stored_policy import build_stored
from app.logs import first_lines
from app.policy.engine.live import LivePolicy, LoadFailure
from app.policy.language import write
from app.policy.language.diff import take_changes
from app.policy.language.fault import PolicyRefused

_log = structlog.stdlib.get_logger("policy")


class Follower:
    """Keeps the active policy at the newest revision.

    The states are those of `app.history.follower_state`::

        Unread ──► Unplaced ──► Current ◄───────┐
           └────────────────────►  │ newer      │ loaded, or
                                   ▼ entry      │ published
                                Behind ─────────┤
                                   │ cannot be  │
                                   ▼ loaded     │
                                Refused ────────┘

    Another newer entry leads from Refused to Behind again. From any of them an empty history leads to Empty, and an
    entry of it back to Behind, or to Current if it is the one that was taken over before.

    `seen` is the newest entry from before the files were read first; an edit of the files is based on it. With
    `files_win` the files are an edit even if the history knows them. With `only_looks` the follower writes neither
    files nor rows.
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
        self.lock = asyncio.Lock()  # one change or take-over at a time
        self.files = PolicyDirectory(live, sessions)
        self._seen = seen
        self._files_win = files_win
        self._only_looks = only_looks
        self._state: FollowerState = Unread()
        self._is_unsettled = False  # a change was begun here, and it is not known yet whether it was stored
        self._losses = 0

    @property
    def head(self) -> HistoryEntry | None:
        """The newest entry that is known."""
        return self._state.head

    @property
    def at(self) -> HistoryEntry | None:
        """The entry that was taken over last."""
        return self._state.at

    @property
    def refused(self) -> LoadFailure | None:
        """Why the newest entry was not taken over."""
        return self._state.failure

    @property
    def is_unsettled(self) -> bool:
        """Whether the outcome of a change that was begun here is not known yet."""
        return self._is_unsettled

    @property
    def losses(self) -> int:
        """How often the history lacked an entry that it had before, as after a restore."""
        return self._losses

    @property
    def behind(self) -> str:
        """Why the files do not hold the active policy; empty when they do."""
        return self.files.behind

    def is_due(self, head: HistoryEntry | None) -> bool:
        """Whether there is something to do, given the newest entry."""
        state = self._state
        if self.files.is_due or self._is_unsettled or head is None or isinstance(state, Unread | Empty):
            return True
        return head != (state.head if isinstance(state, Refused) else state.at)

    async def follow(self) -> None:
        """Take over the newest revision, if that is not done yet. Raises the errors of the database."""
        async with self.lock:
            await self.catch_up()

    async def note_active(self) -> bool:
        """Store the active policy as a revision if it comes from an edit of its files; return False if that failed."""
        async with self.lock:
            try:
                await self.catch_up()
            except (SQLAlchemyError, OSError) as error:
                revision = self.live.active.revision
                _log.error("the revision is not stored yet", revision=revision, error=type(error).__name__)
                return False
        return True

    async def catch_up(self) -> None:
        """Store an edit of the files and take over newer revisions. The caller holds `lock`."""
        if isinstance(self._state, Unread):
            await self._begin()
        if self._is_unsettled:
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
        """Return the newest revision, the parent of the next one. Raises ParentConflict.

        It is the active policy; an edit of the files is added first.
        """
        active, state = self.live.active, self._state
        head = await revisions.head(session)
        if head is not None and head.revision == active.revision:
            return head
        if head is not None and isinstance(state, Refused) and entry_of(head) == state.head:
            return head  # it cannot be loaded here, and the next revision replaces it anyway
        if entry_of(head) != state.at and not (head is None and isinstance(state, Empty)):
            raise ParentConflict
        return await add_files(session, head, active)

    async def _begin(self) -> None:
        """Find the place of the files: those that the history knows, or has lost, are old; others are an edit."""
        found, seen = self.live.active.revision, self._seen
        async with self.sessions() as session:
            was_accepted = await revisions.was_accepted(session, found)
            was_left_behind = await revisions.was_left_behind(session, found)
            origin = await revisions.origin(session)
        stamp = await asyncio.to_thread(read_stamp, self.live.directory)
        self._state = Unplaced()
        if seen is None:
            return
        is_old = was_left_behind or (was_accepted and not self._files_win)
        if stamp is not None and not was_accepted and (stamp.history, stamp.revision) == (origin, found):
            self._lose(HistoryEntry(stamp.entry, found), seen)
            is_old = True
        if seen.revision == found or not is_old:
            self._state = Current(seen)

    def _lose(self, lost: HistoryEntry, entry: HistoryEntry) -> None:
        """Log that the history no longer has an entry, as after a restore."""
        self._losses += 1
        self.files.lost = lost.revision
        _log.error(
            "the database was restored: its history lacks the policy that was served here",
            lost_entry=lost.id,
            lost_revision=lost.revision,
            **_fields(entry),
        )

    def _find_nothing(self) -> None:
        """Keep the active policy while the history is empty: it may be about to be restored."""
        state = self._state
        if isinstance(state, Empty):
            return
        self._state = Empty(state.at, state.failure)
        if state.at is not None:
            self._losses += 1
            _log.error(
                "the history in the database was emptied: the last policy stays active until one is published",
                lost_entry=state.at.id,
                lost_revision=state.at.revision,
            )

    async def _settle(self) -> None:
        """Finish or undo a change whose outcome is unknown, as after the database failed during it."""
        try:
            async with self.live.locked(), write_lock(self.live.directory):
                await recover(self.live.directory, self.sessions)
        except write.PolicyNotWritten as error:
            _log.error("a change of the policy is not settled yet", error=str(error))
        else:
            self._is_unsettled = False

    async def _store(self) -> None:
        try:
            async with self.sessions() as session:
                await session.connection(execution_options=dict(LOCK_FIRST))
                row = await self.head_here(session)
                await session.commit()
        except ParentConflict:
            return  # another process was first, and its revision is taken over next
        # The row that was stored, since the files may have changed again meanwhile.
        self.arrive(HistoryEntry(row.id, row.revision))

    def arrive(self, entry: HistoryEntry) -> None:
        """Record that the active policy is, or is about to be, that of the newest entry."""
        self._state = Current(entry)
        self.live.stop_awaiting()
        self.files.arrived()

    def note_failed_change(self) -> None:
        """Record that a change failed: if it left its marker in the directory, its outcome is settled later."""
        self._is_unsettled = write.unfinished(self.live.directory) is not None

    async def _read(self, session: AsyncSession, entry: HistoryEntry, before: str) -> PendingEntry | None:
        """Read what is needed to take over an entry; None if there is nothing to take over."""
        at = self.at
        if entry.revision == self.live.active.revision or entry == at or self._is_refused(entry):
            return None
        return await read_pending(session, entry, at, before)

    def _is_refused(self, entry: HistoryEntry) -> bool:
        return isinstance(self._state, Refused) and entry == self._state.head

    async def _take_over(self, entry: HistoryEntry, news: PendingEntry | None, before: str) -> bool:
        """Make the newest entry's policy active; return False if the files changed the active one since `before`."""
        state = self._state
        if entry == state.at:
            if state.failure is None:
                self._state = Current(entry)
            else:
                self.arrive(entry)  # the newer entry is gone, as after a restore
            return True
        if entry.revision == self.live.active.revision:
            self.arrive(entry)
            async with self.live.locked():
                await self._write_files()
            return True
        if self._is_refused(entry):
            return True
        self._state = Behind(entry, state.at, state.failure)
        if news is None:
            return False
        if news.lost:
            self._lose(news.lost, entry)
        try:
            snapshot = await asyncio.to_thread(build_stored, self.live, entry, news.row)
        except PolicyRefused as refused:
            self._state = Refused(entry, state.at, LoadFailure(datetime.now(UTC), refused.faults))
            self.live.await_revision(entry.revision)
            faults = first_lines(refused.faults)
            _log.error(
                "the newest policy is refused here; the last good one stays active", **_fields(entry), faults=faults
            )
            return True
        changed = await asyncio.to_thread(take_changes, [self.live.active.policy, snapshot.policy])
        async with self.live.locked():
            if self.live.active.revision != before:
                return False
            if not news.is_kept:
                self.files.leave_behind(before)
                if before != self.files.lost:
                    _log.warning("others changed the policy first; these changed files are not taken", revision=before)
            self.arrive(entry)
            try:
                self.live.take(snapshot, changed)
            finally:
                await self._write_files()
        return True

    async def _write_files(self) -> None:
        if not self._only_looks:
            await self.files.follow()


def _fields(entry: HistoryEntry) -> dict[str, object]:
    return {"entry": entry.id, "revision": entry.revision}

"""Takes over what others made the policy: the newest revision of the database is what every process serves.

A change of this process's own files is stored as a revision, if they held the active policy before; else it would undo
what others changed.
"""

from __future__ import annotations

import asyncio
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import revisions
from app.db.engine import LOCK_FIRST
from app.db.revisions import Overtaken
from app.db.session import Sessions
from app.db.tables.history import PolicyRevision
from app.history.entry import Entry
from app.history.files import alone, bytes_of, put, recover, revision_of
from app.logs import first_lines
from app.policy import write
from app.policy.diff import changes
from app.policy.fault import Fault, PolicyRefused
from app.policy.live import LivePolicy, Refusal, build
from app.policy.load import parse
from app.policy.snapshot import Snapshot
from app.policy.source import from_bytes

_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class _News:
    """An entry that is not taken over yet, and whether what is active until then is kept in the history."""

    row: PolicyRevision | None
    was_kept: bool


class Follower:
    """Keeps the active policy at the newest revision.

    `seen` is what was the newest before the files were read first: what they change, they change from there. With
    `files_win` whatever they hold then is a change. With `only_looks` it writes neither files nor rows.
    """

    def __init__(
        self,
        live: LivePolicy,
        sessions: Sessions,
        seen: Entry | None,
        *,
        files_win: bool,
        only_looks: bool = False,
    ) -> None:
        self.live = live
        self.sessions = sessions
        self.one_at_a_time = asyncio.Lock()
        self.head: Entry | None = None  # the newest that is known
        self.at: Entry | None = None  # the newest that was taken over
        self.refused: Refusal | None = None  # why `head` was not
        self.unsettled = False  # a change was begun here, and nobody knows yet whether it was stored
        self._seen = seen
        self._lagging = ""  # why the files do not hold what is active
        self._files_win = files_win
        self._only_looks = only_looks
        self._begun = False
        self._left_behind: set[str] = set()
        self._remembered: str | None = None  # of those that were left behind, the last one that is stored

    @property
    def behind(self) -> str:
        """Why the files do not hold what is active; empty when they do."""
        live = self.live
        return "" if live.on_disk == live.active.revision else self._lagging

    def is_due(self, head: Entry | None) -> bool:
        """Whether there is something to do, now that this is known to be the newest entry."""
        if self.live.outdated is not None and self.live.outdated != self._remembered:
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
        """Store what came by the files and take over what came from elsewhere. For whoever has `one_at_a_time`."""
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
                head = await revisions.head(session)
                entry = Entry(head.id, head.revision) if head else None
                news = await self._read(session, entry, before) if entry else None
            if entry is None or await self._take_over(entry, news, before):
                break
        if not self._only_looks:
            await self._leave_behind()

    async def head_here(self, session: AsyncSession) -> PolicyRevision:
        """The newest revision, upon which another may follow. Raises Overtaken.

        It is the active policy: one that came by its files is added first.
        """
        active = self.live.active
        head = await revisions.head(session)
        if head is not None and head.revision == active.revision:
            return head
        if head is not None and self.refused is not None and Entry(head.id, head.revision) == self.head:
            return head  # nobody here could take it over: what follows replaces it all the same
        if (head.id if head else None) != (self.at.id if self.at else None):
            raise Overtaken
        return await revisions.add(
            session,
            parent=head,
            revision=active.revision,
            kind="files",
            author="",
            message="The files were changed in the policy directory." if head else "The policy as it was found.",
            widens=False,
            changes=(),
            files=active.policy.source.files,
            now=datetime.now(UTC),
        )

    async def _begin(self) -> None:
        """At the start: files that the history knows are old, others are a change."""
        found, seen = self.live.active.revision, self._seen
        async with self.sessions() as session:
            known = await revisions.is_known(session, found)
        self._begun = True
        if seen is not None and (self._files_win or not known or seen.revision == found):
            self.head = self.at = seen

    async def _settle(self) -> None:
        """Finish or undo a change whose outcome was left open, as when the database died over it."""
        try:
            async with self.live.held(), alone(self.live.directory):
                await recover(self.live.directory, self.sessions)
        except write.CannotWrite as error:
            _log.error("a change of the policy is not settled yet", error=str(error))
        else:
            self.unsettled = False

    async def _store(self) -> None:
        try:
            async with self.sessions() as session:
                await session.connection(execution_options=dict(LOCK_FIRST))
                row = await self.head_here(session)
                await session.commit()
        except Overtaken:
            return  # and what follows takes over the winner
        # What was stored: the files may have changed once more meanwhile.
        self.arrive(Entry(row.id, row.revision))

    def arrive(self, entry: Entry) -> None:
        """The active policy is, or is about to be, that of the newest entry."""
        self.head = self.at = entry
        self.refused = self.live.awaited = None
        self._lagging = ""

    async def _read(self, session: AsyncSession, entry: Entry, before: str) -> _News | None:
        """What has to be known to take over an entry; None where there is nothing to take over."""
        is_taken = entry.revision == self.live.active.revision or (self.at is not None and entry.id == self.at.id)
        if is_taken or (self.refused is not None and entry == self.head):
            return None  # and what was refused will not be better now
        row = await revisions.entry(session, entry.id)
        return _News(row, await revisions.was_accepted(session, before))

    async def _take_over(self, entry: Entry, news: _News | None, before: str) -> bool:
        """Make the newest entry's policy active; False when the files have changed what is since `before`."""
        self.head = entry
        if self.at is not None and entry.id == self.at.id:
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
        try:
            snapshot = await asyncio.to_thread(self._built, entry, news.row)
        except PolicyRefused as refused:
            self.refused = Refusal(datetime.now(UTC), refused.faults)
            self.live.awaited = entry.revision
            faults = first_lines(refused.faults)
            _log.error("the newest policy is refused here; the last good one decides on", **_of(entry), faults=faults)
            return True
        changed = await asyncio.to_thread(changes, self.live.active.policy, snapshot.policy)
        async with self.live.held():
            if self.live.active.revision != before:
                return False
            if not news.was_kept:
                self._left_behind.add(before)
                _log.warning("others changed the policy first; this change of the files is not taken", revision=before)
            self.arrive(entry)
            try:
                self.live.take(snapshot, changed)
            finally:
                await self._write_files()
        return True

    def _built(self, entry: Entry, row: PolicyRevision | None) -> Snapshot:
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
        """Make the files those of the active policy, where that loses nothing; else say why they are not."""
        live, directory = self.live, self.live.directory
        active = live.active
        if live.on_disk == active.revision or self._only_looks:
            return
        try:
            async with alone(directory):
                await recover(directory, self.sessions)
                found = await asyncio.to_thread(revision_of, directory)
                if found != active.revision:
                    async with self.sessions() as session:
                        is_kept = found is not None and await revisions.was_accepted(session, found)
                    if found != live.on_disk or not is_kept:
                        self._lagging = "they were changed here, and not from the active policy"
                        _log.warning("the policy files are left as they are: others changed the policy", found=found)
                        return
                    files = {name: text.encode() for name, text in active.policy.source.files.items()}
                    await self.put_files(files)
                else:
                    live.on_disk = active.revision
        except (write.CannotWrite, SQLAlchemyError, OSError) as error:
            self._lag(error)

    async def put_files(self, files: Mapping[str, bytes]) -> None:
        """Write the files of the active policy. Only while `alone` and `held`; that they could not be is told."""
        active = self.live.active.revision
        try:
            await put(self.live.directory, active, files)
        except write.CannotWrite as error:
            self._lag(error)
        else:
            self.live.on_disk = active

    def _lag(self, error: Exception) -> None:
        self._lagging = str(error) if isinstance(error, write.CannotWrite) else type(error).__name__
        _log.warning("the policy files are not those of the active policy", why=self._lagging)

    async def _leave_behind(self) -> None:
        """Remember files that were not taken: after a restart they must not undo what others changed."""
        if self.live.outdated not in (None, self._remembered):
            self._left_behind.add(self.live.outdated)
        while self._left_behind:
            revision = next(iter(self._left_behind))
            async with self.sessions() as session:
                await revisions.leave_behind(session, revision, datetime.now(UTC))
                await session.commit()
            self._left_behind.discard(revision)
            self._remembered = revision


def _of(entry: Entry) -> dict[str, object]:
    return {"entry": entry.id, "revision": entry.revision}


def _broken(entry: Entry) -> Fault:
    message = f"the database holds other files than those of the revision {entry.revision}"
    return Fault("broken-revision", ".", 0, 0, message, "publish a good policy")

"""The policy directory of a process: its files follow the active policy where that loses nothing.

Where they cannot be written, or hold what the history does not have, the process serves from memory, and the database
remembers that these files are no change: after a restart they undo nothing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from sqlalchemy.exc import SQLAlchemyError

from app.db import revisions
from app.db.session import Sessions
from app.history.entry import HistoryEntry
from app.history.files import alone, put, recover, revision_in, revision_of
from app.history.stamp import Stamp, write_stamp
from app.policy.engine.live import LivePolicy
from app.policy.language import write

RETRY_SECONDS = 30.0  # until a directory that could not be written is tried again
_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """Files that stay as they are although another policy becomes active, and why.

    `revisions` are what they hold and what was read there last: neither is a change after a restart.
    """

    why: str
    found: str | None
    revisions: frozenset[str]


class PolicyDirectory:
    """Keeps the files of `live` at its active policy, and remembers files that are no change.

    `origin` names the history that entries are of; see `revisions.origin`.
    """

    def __init__(self, live: LivePolicy, sessions: Sessions) -> None:
        self._live = live
        self._sessions = sessions
        self.origin: str | None = None
        self.lost: str | None = None  # a revision that the history had once, and has no more
        is_whole = live.on_disk == live.active.revision
        self._lagging = "" if is_whole else "they are half written"  # why the files do not hold what is active
        self._failed_at = None if is_whole else time.monotonic()  # when they could not be written last
        self._left_behind: set[str] = set()
        self._remembered: str | None = None  # of those that were left behind, the last one that is stored
        self._may_forget = True  # files that hold the active policy make what is remembered of others needless

    @property
    def behind(self) -> str:
        """Why the files do not hold what is active; empty when they do."""
        live = self._live
        return "" if live.on_disk == live.active.revision else self._lagging

    @property
    def is_due(self) -> bool:
        """Whether there are files to remember, or to write once more."""
        outdated = self._live.outdated
        return outdated not in (None, self._remembered) or self._is_retry_due()

    def leave_behind(self, revision: str) -> None:
        """Remember by `store` that files of this revision are no change."""
        self._left_behind.add(revision)

    def arrived(self) -> None:
        """The active policy is, or is about to be, that of the newest entry."""
        self._lagging, self._failed_at = "", None

    async def follow(self) -> None:
        """Make the files those of the active policy, where that loses nothing; else say why they are not.

        Only while the live policy is `held`.
        """
        live, directory = self._live, self._live.directory
        active = live.active
        if live.on_disk == active.revision:
            return
        try:
            async with alone(directory):
                await recover(directory, self._sessions)
                found = await asyncio.to_thread(revision_in, directory)
                if found != active.revision and (why := await self._kept_because(found)):
                    if self._failed_at is not None:
                        self._failed_at = time.monotonic()
                    self._say_lagging(why, found=found)
                    return
                await self.put({name: text.encode() for name, text in active.policy.source.files.items()})
        except (write.PolicyNotWritten, SQLAlchemyError, OSError) as error:
            self._lag(error)

    async def retry(self) -> None:
        """Write files that could not be written before, when it is time to try again."""
        if self._is_retry_due():
            async with self._live.held():
                await self.follow()

    async def is_edited(self) -> bool:
        """Whether the files held the active policy, and hold another that no reload has looked at or taken."""
        live = self._live
        if live.on_disk != live.active.revision or write.unfinished(live.directory) is not None:
            return False
        return await asyncio.to_thread(revision_of, live.directory) not in (None, live.on_disk)

    async def announce(self, revision: str) -> KeptFiles | None:
        """Say beside the files which revision is about to be accepted; or return why they stay as they are.

        They do where they cannot be written or where writing would lose an edit. Only while `alone` and `held`.
        """
        live = self._live
        found = None
        try:
            is_half_written = write.unfinished(live.directory) is not None
            found = await asyncio.to_thread(revision_in, live.directory)
            is_known = is_half_written or found in (live.active.revision, revision)
            why = "" if is_known else await self._kept_because(found)
            if not why:
                await asyncio.to_thread(write.begin, live.directory, revision)
                return None
        except write.PolicyNotWritten as error:
            why = str(error)
        return KeptFiles(why, found, frozenset(filter(None, (found, live.on_disk))) - {revision})

    def _keep(self, kept: KeptFiles) -> None:
        """Say that the files stay as they are, now that another policy is active."""
        live = self._live
        if kept.found is not None:
            live.on_disk = kept.found
        elif live.on_disk == live.active.revision:
            live.on_disk = ""
        if live.on_disk == live.active.revision:
            self._lagging, self._failed_at = "", None
        else:
            self._failed_at = time.monotonic()
            self._say_lagging(kept.why, found=kept.found)

    async def put(self, files: Mapping[str, bytes], kept: KeptFiles | None = None) -> None:
        """Write the files of the active policy. Only while `alone` and `held`; `behind` tells of a failure.

        Those that `announce` has `kept` stay.
        """
        if kept:
            self._keep(kept)
            return
        active, directory = self._live.active.revision, self._live.directory
        found = await asyncio.to_thread(revision_of, directory)
        try:
            if found != active or write.unfinished(directory) is not None:
                await put(directory, active, files)
        except write.PolicyNotWritten as error:
            # What they hold may be what was refused before, and not what was read last.
            self._live.on_disk = found or ""
            self._lag(error)
        else:
            self._live.on_disk = active
            self._lagging, self._failed_at = "", None

    async def stamp(self, entry: HistoryEntry | None) -> None:
        """Note beside the files which entry they hold, where they hold it: after a restore it may be lost."""
        held = self._live.on_disk
        if entry is None or self.origin is None or not held == entry.revision == self._live.active.revision:
            return
        await asyncio.to_thread(write_stamp, self._live.directory, Stamp(self.origin, entry.id, entry.revision))

    async def store(self) -> None:
        """Store what is to be remembered of files. Raises what the database does."""
        if self._live.outdated not in (None, self._remembered):
            self._left_behind.add(self._live.outdated)
        while self._left_behind:
            revision = next(iter(self._left_behind))
            async with self._sessions() as session:
                await revisions.leave_behind(session, revision, datetime.now(UTC))
                await session.commit()
            self._left_behind.discard(revision)
            self._remembered, self._may_forget = revision, True
        holds_active = self._live.on_disk == self._live.active.revision
        if self._may_forget and holds_active and self._live.outdated is None:
            async with self._sessions() as session:
                await revisions.forget_kept(session)
                await session.commit()
            self._may_forget = False

    async def _kept_because(self, found: str) -> str:
        """Why files that are not the active ones must stay: nothing else has them. Empty when they need not."""
        async with self._sessions() as session:
            is_kept = await revisions.was_accepted(session, found)
        if found == self._live.on_disk and is_kept:
            return ""
        if found == self.lost:
            return f"they hold the revision {found}, which the database lost when it was restored"
        if self._live.on_disk == self._live.active.revision:
            return "the policy files were edited here, and what they hold is not active"
        return "they were changed here, and not from the active policy"

    def _is_retry_due(self) -> bool:
        return self._failed_at is not None and bool(self.behind) and time.monotonic() - self._failed_at >= RETRY_SECONDS

    def _lag(self, error: Exception) -> None:
        is_plain = isinstance(error, write.PolicyNotWritten)
        self._failed_at = time.monotonic()
        if is_plain and self._live.on_disk:
            # Older than what is active, so after a restart they must not win.
            self._left_behind.add(self._live.on_disk)
        self._say_lagging(str(error) if is_plain else type(error).__name__)

    def _say_lagging(self, why: str, **more: object) -> None:
        if why != self._lagging:
            _log.warning(
                "the policy files are not those of the active policy, which is served from memory", why=why, **more
            )
        self._lagging = why

"""The policy directory of a process: its files follow the active policy unless that would lose an edit.

If they cannot be written, or hold what the history does not have, the process serves from memory. The database then
records that these files are outdated, so that they undo nothing after a restart.
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
from app.history.files import put, recover, revision_in, revision_of, write_lock
from app.history.stamp import Stamp, write_stamp
from app.policy.engine.live import LivePolicy
from app.policy.language import write

RETRY_SECONDS = 30.0  # between two attempts to write the files
_log = structlog.stdlib.get_logger("policy")


@dataclass(frozen=True, slots=True)
class KeptFiles:
    """Files that stay as they are although another policy becomes active, and why.

    `revisions` are what they hold and what was read there last; after a restart neither counts as an edit.
    """

    why: str
    found: str | None
    revisions: frozenset[str]


class PolicyDirectory:
    """Keeps the files of `live` at its active policy, and records outdated files.

    `origin` names the history that entries are of; see `revisions.origin`.
    """

    def __init__(self, live: LivePolicy, sessions: Sessions) -> None:
        self._live = live
        self._sessions = sessions
        self.origin: str | None = None
        self.lost: str | None = None  # a revision that the history no longer has
        is_complete = live.on_disk == live.active.revision
        self._lagging = "" if is_complete else "they are half written"  # why the files do not hold the active policy
        self._failed_at = None if is_complete else time.monotonic()  # when writing them last failed
        self._left_behind: set[str] = set()
        self._remembered: str | None = None  # the last outdated revision that was stored
        self._may_forget = True  # once the files hold the active policy, the record of outdated ones is needless

    @property
    def behind(self) -> str:
        """Why the files do not hold the active policy; empty when they do."""
        live = self._live
        return "" if live.on_disk == live.active.revision else self._lagging

    @property
    def is_due(self) -> bool:
        """Whether outdated files are to be recorded, or files to be written again."""
        outdated = self._live.outdated
        return outdated not in (None, self._remembered) or self._is_retry_due()

    def leave_behind(self, revision: str) -> None:
        """Let `store` record that files of this revision are outdated."""
        self._left_behind.add(revision)

    def arrived(self) -> None:
        """Record that the active policy is, or is about to be, that of the newest entry."""
        self._lagging, self._failed_at = "", None

    async def follow(self) -> None:
        """Write the files of the active policy, or log why they are kept. The live policy must be `held`."""
        live, directory = self._live, self._live.directory
        active = live.active
        if live.on_disk == active.revision:
            return
        try:
            async with write_lock(directory):
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
        """Retry a failed write once `RETRY_SECONDS` have passed."""
        if self._is_retry_due():
            async with self._live.locked():
                await self.follow()

    async def is_edited(self) -> bool:
        """Whether the files held the active policy and were edited since, and no reload has seen that yet."""
        live = self._live
        if live.on_disk != live.active.revision or write.unfinished(live.directory) is not None:
            return False
        return await asyncio.to_thread(revision_of, live.directory) not in (None, live.on_disk)

    async def announce(self, revision: str) -> KeptFiles | None:
        """Mark the directory with the revision that is about to be accepted; or return why its files are kept.

        They are kept if they cannot be written or if writing would lose an edit. Hold `write_lock` and `held`.
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
        """Record that the files stay as they are although another policy is active."""
        live = self._live
        if kept.found is not None:
            live.record_files(kept.found)
        elif live.on_disk == live.active.revision:
            live.record_files("")
        if live.on_disk == live.active.revision:
            self._lagging, self._failed_at = "", None
        else:
            self._failed_at = time.monotonic()
            self._say_lagging(kept.why, found=kept.found)

    async def put(self, files: Mapping[str, bytes], kept: KeptFiles | None = None) -> None:
        """Write the files of the active policy unless they are `kept`. Hold `write_lock` and `held`.

        A failure sets `behind`.
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
            # They may hold what was refused before, and not what was read last.
            self._live.record_files(found or "")
            self._lag(error)
        else:
            self._live.record_files(active)
            self._lagging, self._failed_at = "", None

    async def stamp(self, entry: HistoryEntry | None) -> None:
        """Write a note of which entry the files hold: a restore of the database may lose it."""
        held = self._live.on_disk
        if entry is None or self.origin is None or not held == entry.revision == self._live.active.revision:
            return
        await asyncio.to_thread(write_stamp, self._live.directory, Stamp(self.origin, entry.id, entry.revision))

    async def store(self) -> None:
        """Store the record of outdated files. Raises the errors of the database."""
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
        """Why files other than the active ones must be kept; empty if the history has them."""
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
            # They are older than the active policy and must not replace it after a restart.
            self._left_behind.add(self._live.on_disk)
        self._say_lagging(str(error) if is_plain else type(error).__name__)

    def _say_lagging(self, why: str, **more: object) -> None:
        if why != self._lagging:
            _log.warning(
                "the policy files are not those of the active policy, which is served from memory", why=why, **more
            )
        self._lagging = why

"""Publish and roll back: a policy is checked and compared, stored as a revision with its audit row, and written.

The database is asked first and the files follow: what was acknowledged is in the database, and a process that dies
in between leaves a marker by which the next one finishes the files.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import structlog
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app import logs
from app.db import revisions
from app.db.engine import LOCK_FIRST
from app.db.revisions import Overtaken
from app.db.session import Sessions
from app.db.tables.history import AdminAction, PolicyRevision
from app.policy import write
from app.policy.diff import changes
from app.policy.live import LivePolicy, build
from app.policy.load import parse
from app.policy.semantic_diff import Difference, compare
from app.policy.snapshot import Snapshot
from app.policy.source import from_bytes

_log = structlog.stdlib.get_logger("policy")


class StaleParent(Exception):
    """Another policy is active than the one that the change was made from."""

    def __init__(self, active: str) -> None:
        super().__init__(f"the active policy is {active}")
        self.active = active


class Widens(Exception):
    """The change gives access to somebody, and nobody has said that this is meant."""

    def __init__(self, difference: Difference) -> None:
        super().__init__("the change widens access")
        self.difference = difference


class NoSuchRevision(Exception):
    """No policy with this revision was ever accepted here."""


@dataclass(frozen=True, slots=True)
class Author:
    """Who does it: the subject of a person or program, with the key if there is one."""

    name: str
    key_id: int | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """A revision that was accepted, or with `dry_run` would be, and what it changes."""

    snapshot: Snapshot
    parent: str
    difference: Difference
    rows: tuple[str, ...]

    @property
    def revision(self) -> str:
        """The name of the revision."""
        return self.snapshot.revision


class Publisher:
    """Changes the policy of a directory, one change at a time."""

    def __init__(self, live: LivePolicy, sessions: Sessions) -> None:
        self._live = live
        self._sessions = sessions
        self._one_at_a_time = asyncio.Lock()

    async def publish(
        self,
        files: Mapping[str, bytes],
        *,
        parent: str,
        author: Author,
        message: str,
        acknowledge_widening: bool = False,
        dry_run: bool = False,
        kind: str = "publish",
    ) -> Published:
        """Make these files the active policy, if `parent` still is.

        Raises StaleParent, PolicyRefused with every fault, Widens, and `write.CannotWrite`.
        """
        async with self._one_at_a_time:
            if write.unfinished(self._live.directory) is not None:
                await recover(self._live.directory, self._sessions)
                await self._live.reload()
            old = self._live.active
            if parent != old.revision:
                raise StaleParent(old.revision)
            new = await asyncio.to_thread(self._build, files)
            difference = await asyncio.to_thread(compare, old, new)
            published = Published(new, old.revision, difference, row_changes(old, new))
            if dry_run or new.revision == old.revision:
                return published
            if difference.widens and not acknowledge_widening:
                raise Widens(difference)
            async with self._live.held():
                await self._accept(new, published, author, message, kind)
                await asyncio.to_thread(write.write, self._live.directory, files)
                await asyncio.to_thread(write.finish, self._live.directory)
        await self._live.reload()
        return published

    async def rollback(
        self, revision: str, *, parent: str, author: Author, message: str, acknowledge_widening: bool = False
    ) -> Published:
        """Make an earlier revision the active policy again. Raises NoSuchRevision, and as `publish` does."""
        async with self._sessions() as session:
            row = await revisions.find(session, revision)
        if row is None:
            raise NoSuchRevision
        files = {name: text.encode() for name, text in revisions.files_of(row).items()}
        return await self.publish(
            files,
            parent=parent,
            author=author,
            message=message or f"Back to {revision}.",
            acknowledge_widening=acknowledge_widening,
            kind="rollback",
        )

    async def note_active(self) -> bool:
        """Store the active policy as a revision, when it came by a change of its files; False when it could not be."""
        async with self._one_at_a_time:
            active = self._live.active
            try:
                async with self._sessions() as session:
                    await session.connection(execution_options=dict(LOCK_FIRST))
                    await _head_at(session, active)
                    await session.commit()
            except Overtaken:
                _log.info("another process has stored this revision", revision=active.revision)
            except (SQLAlchemyError, OSError) as error:
                _log.error("the revision is not stored yet", revision=active.revision, error=type(error).__name__)
                return False
        return True

    def _build(self, files: Mapping[str, bytes]) -> Snapshot:
        return build(parse(from_bytes(files)), self._live.table)

    async def _accept(self, new: Snapshot, published: Published, author: Author, message: str, kind: str) -> None:
        """Store the revision and its audit row, in one transaction, once the directory says what is coming.

        Should storing fail in a way that leaves its outcome open, the marker stays for `recover` to find out.
        """
        directory = self._live.directory
        now = datetime.now(UTC)
        await asyncio.to_thread(write.begin, directory, new.revision)
        try:
            async with self._sessions() as session:
                await session.connection(execution_options=dict(LOCK_FIRST))
                await revisions.add(
                    session,
                    parent=await _head_at(session, self._live.active),
                    revision=new.revision,
                    kind=kind,
                    author=author.name,
                    message=message,
                    widens=published.difference.widens,
                    changes=published.rows,
                    files=new.policy.source.files,
                    now=now,
                )
                await revisions.audit(
                    session,
                    AdminAction(
                        at=now,
                        action=f"policy.{kind}",
                        target=new.revision,
                        author=author.name,
                        key_id=author.key_id,
                        request_id=logs.request_id.get(),
                        message=message,
                    ),
                )
                await session.commit()
        except Overtaken:
            await asyncio.to_thread(write.finish, directory)
            raise StaleParent(self._live.active.revision) from None


def row_changes(old: Snapshot, new: Snapshot) -> tuple[str, ...]:
    """The rows that came and went, one a line."""
    return tuple(f"{change.kind} {change.row} ({change.place})" for change in changes(old.policy, new.policy))


async def _head_at(session: AsyncSession, active: Snapshot) -> PolicyRevision:
    """The newest revision, which is the active policy: one that came by its files is added. Raises Overtaken."""
    head = await revisions.head(session)
    if head is not None and head.revision == active.revision:
        return head
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


async def recover(directory: Path, sessions: Sessions) -> None:
    """Finish what a process began and did not live to finish. Raises `write.CannotWrite`."""
    revision = write.unfinished(directory)
    if revision is None:
        return
    async with sessions() as session:
        row = await revisions.head(session)
        stored = await revisions.find(session, revision) if row and row.revision == revision else None
    if stored is not None:
        files = {name: text.encode() for name, text in revisions.files_of(stored).items()}
        await asyncio.to_thread(write.write, directory, files)
    await asyncio.to_thread(write.finish, directory)
    _log.warning("an interrupted change of the policy was settled", revision=revision, finished=stored is not None)

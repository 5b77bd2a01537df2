"""Publish and roll back: a policy is checked and compared, stored as a revision with its audit row, and written.

The revision is committed to the database before its files are written. A process that dies in between leaves a marker,
by which the next one finishes the files.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.actor import Actor
from app.db import admin_actions, revisions
from app.db.engine import LOCK_FIRST
from app.db.retry import retried, was_undone
from app.db.revisions import ParentConflict
from app.db.seen_callers import seen_callers
from app.db.tables.history import PolicyRevision
from app.history.acknowledgements import NOTHING_ACKNOWLEDGED, Acknowledgements, Unacknowledged
from app.history.directory import KeptFiles
from app.history.entry import HistoryEntry
from app.history.files import bytes_of, recover, write_lock
from app.history.follower import Follower
from app.history.published import Published, recorded_message, refusal_of
from app.history.refusals import NoSuchRevision, StaleParent
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.case_report import run_cases
from app.policy.analysis.publishers import FewerPublishers, lost_publishers, unproven_facts
from app.policy.analysis.semantic_diff import compare
from app.policy.engine.lockout import named_publishers
from app.policy.engine.snapshot import Snapshot
from app.policy.language import write
from app.policy.language.diff import changes, file_changes
from app.policy.language.fault import PolicyRefused

Kind = Literal["publish", "rollback"]
_REFUSALS: Mapping[type[Exception], str] = {StaleParent: "stale", PolicyRefused: "refused"}
OUTCOMES = ("published", "unchanged", "stale", "refused", "widens", "publishers", "cases", "failed")


@dataclass(frozen=True, slots=True)
class PolicyChange:
    """Who changes the policy, from which active revision, why, and what is acknowledged.

    With `dry_run` it is only checked and compared.
    """

    parent: str
    author: Actor
    message: str
    acknowledged: Acknowledgements = NOTHING_ACKNOWLEDGED
    dry_run: bool = False


class Publisher:
    """Changes the policy of a directory, one change at a time; `outcomes` counts the results except dry runs."""

    def __init__(self, follower: Follower) -> None:
        self.outcomes: Counter[tuple[Kind, str]] = Counter()
        self._follower = follower
        self._live = follower.live
        self._sessions = follower.sessions

    async def publish(self, files: Mapping[str, bytes], change: PolicyChange, kind: Kind = "publish") -> Published:
        """Make these files the active policy, if the parent of the change still is.

        Raises StaleParent, PolicyRefused with every fault, Unacknowledged and `write.PolicyNotWritten`.
        """
        outcome = "failed"  # also if the caller leaves
        try:
            published = await self._change(files, change, kind)
            outcome = "unchanged" if published.revision == published.parent else "published"
        except Exception as error:
            outcome = error.outcome if isinstance(error, Unacknowledged) else _REFUSALS.get(type(error), "failed")
            raise
        finally:
            if not change.dry_run:
                self.outcomes[kind, outcome] += 1
        return published

    async def _change(self, files: Mapping[str, bytes], change: PolicyChange, kind: Kind) -> Published:
        follower, live = self._follower, self._live
        async with follower.lock:
            await self._catch_up(change.dry_run)
            # If the newest revision cannot be loaded here, the change is compared with what is served instead.
            replaces = follower.head.revision if follower.refused and follower.head else None
            old = live.active
            if change.parent != old.revision:
                raise StaleParent(old.revision)
            new = await asyncio.to_thread(live.build_candidate, files)
            difference = await asyncio.to_thread(compare, old, new)
            changed = await asyncio.to_thread(changes, old.policy, new.policy)
            changed_files = await asyncio.to_thread(file_changes, old.policy, new.policy, changed)
            # The snapshot that is tested is the one that is stored and served.
            cases = await asyncio.to_thread(run_cases, new, old.policy)
            fewer = await self._fewer_publishers(difference, new, change.author)
            rows = tuple(map(str, changed))
            published = Published(
                new, old.revision, difference, rows, cases, changed_files, replaces, fewer=fewer, entries=changed
            )
            if change.dry_run or (new.revision == old.revision and replaces is None):
                return published
            if refused := refusal_of(published, change.acknowledged):
                raise refused
            del old  # so that it is unreferenced once replaced, and freed off the event loop
            try:
                async with live.locked(), write_lock(live.directory):
                    if live.active.revision != published.parent:
                        raise StaleParent(live.active.revision)
                    with suppress(write.PolicyNotWritten):  # `files.put` reports it
                        await recover(live.directory, self._sessions)
                    kept = await follower.files.announce(new.revision)
                    follower.arrive(await self._accept(new, published, change, kind, kept))
                    try:
                        live.take(new, changed)
                    finally:
                        await follower.files.put(files, kept)
                        await follower.files.stamp(follower.at)
            except ParentConflict:
                await follower.catch_up()
                raise StaleParent(live.active.revision) from None
            except Exception:
                follower.note_failed_change()
                raise
        return replace(published, files_lag=follower.behind or None)

    async def _catch_up(self, dry_run: bool) -> None:
        follower = self._follower
        await follower.catch_up()
        if not dry_run and await follower.files.is_edited():
            # The files were edited before, although the watch has not reported it yet.
            await self._live.reload()
            await follower.catch_up()

    async def rollback(self, revision: str, change: PolicyChange) -> Published:
        """Make an earlier revision the active policy again. Raises NoSuchRevision, and as `publish` does."""
        async with self._sessions() as session:
            row = await revisions.find(session, revision)
        if row is None:
            raise NoSuchRevision
        message = change.message or f"Back to {revision}."
        return await self.publish(bytes_of(row), replace(change, message=message), "rollback")

    async def _fewer_publishers(self, difference: AccessDiff, new: Snapshot, author: Actor) -> FewerPublishers | None:
        """Which callers could no longer publish, and whether a known one still can; the author counts."""
        lost = lost_publishers(difference)
        if lost is None:
            return None
        ways = await asyncio.to_thread(named_publishers, new)
        if ways is None:
            return FewerPublishers(lost, None)
        async with self._sessions() as session:
            seen = await seen_callers(session, frozenset[str]().union(*ways))
        return FewerPublishers(lost, unproven_facts(ways, seen | {author.fact}))

    async def _accept(
        self, new: Snapshot, published: Published, change: PolicyChange, kind: Kind, kept: KeptFiles | None
    ) -> HistoryEntry:
        """Store the revision and its audit row in one transaction, after the directory was marked.

        Files that are kept are recorded as outdated instead. If the outcome of the transaction is unknown, the marker
        stays and `recover` settles the change.
        Raises ParentConflict.
        """
        directory = self._live.directory
        now = datetime.now(UTC)
        accepted = None if published.cases.passed else change.acknowledged.reason

        @retried
        async def store(session: AsyncSession) -> PolicyRevision:
            await session.connection(execution_options=dict(LOCK_FIRST))
            row = await revisions.add(
                session,
                parent=await self._follower.head_here(session),
                revision=new.revision,
                kind=kind,
                author=change.author.subject,
                message=change.message,
                widens=published.difference.widens,
                changes=published.rows,
                files=new.policy.source.files,
                now=now,
                cases=published.cases,
                accepted=accepted,
            )
            admin_actions.record(
                session,
                change.author,
                "policy.publish" if kind == "publish" else "policy.rollback",
                new.revision,
                now=now,
                message=recorded_message(published, change.message, change.acknowledged),
                details={
                    "parent": published.parent,
                    "rows": len(published.rows),
                    "widens": published.difference.widens,
                    "fewer_publishers": published.fewer is not None,
                },
            )
            for outdated in sorted(kept.revisions) if kept else ():
                await revisions.leave_behind(session, outdated, now)
            await session.commit()
            return row

        try:
            async with self._sessions() as session:
                row = await store(session)
        except (ParentConflict, SQLAlchemyError) as error:
            if kept is None and (isinstance(error, ParentConflict) or was_undone(error)):
                await asyncio.to_thread(write.finish, directory)
            raise
        return HistoryEntry(row.id, new.revision)

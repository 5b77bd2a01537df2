"""The history of the policy in the database. None of these functions commits."""

from __future__ import annotations

import json
import zlib
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, cast

from sqlalchemy import delete, exists, func, select, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from app.db.tables.history import PolicyRevision
from app.db.tables.replicas import OutdatedFiles
from app.policy.analysis.case_report import CaseReport

# An advisory lock that nothing else uses: on PostgreSQL there is one first revision.
_ADVISORY_LOCK = 0x617574687E
MAX_CHANGES = 1_000  # stored with a revision; its files have all of them
_WITHOUT_FILES = defer(cast(Any, PolicyRevision.files), raiseload=True)


class ParentConflict(Exception):
    """Another revision has the same parent already."""


async def head(session: AsyncSession) -> PolicyRevision | None:
    """The newest revision; None before the first."""
    newest = select(PolicyRevision).order_by(col(PolicyRevision.id).desc()).limit(1)
    return (await session.scalars(newest.options(_WITHOUT_FILES))).one_or_none()


async def newest(session: AsyncSession) -> PolicyRevision | None:
    """The newest revision with its files; None before the first."""
    newest = select(PolicyRevision).order_by(col(PolicyRevision.id).desc()).limit(1)
    return (await session.scalars(newest)).one_or_none()


async def add(
    session: AsyncSession,
    *,
    parent: PolicyRevision | None,
    revision: str,
    kind: str,
    author: str,
    message: str,
    widens: bool,
    changes: Sequence[str],
    files: Mapping[str, str],
    now: datetime,
    cases: CaseReport | None = None,
    accepted: str | None = None,
) -> PolicyRevision:
    """Add the revision after `parent`; `accepted` is why its failing `cases` are accepted. Raises ParentConflict."""
    if parent is None:
        await _check_first(session)
    row = PolicyRevision(
        parent_id=parent.id if parent else None,
        revision=revision,
        kind=kind,
        author=author,
        message=message,
        widens=widens,
        created_at=now,
        changes=_first(changes),
        files=zlib.compress(json.dumps(dict(files)).encode()),
        cases_run=cases.run if cases else None,
        cases_failed=cases.failed + cases.not_run if cases else None,
        cases_removed=cases.removed if cases else None,
        cases_accepted=accepted,
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        raise ParentConflict from None
    await session.execute(delete(OutdatedFiles).where(col(OutdatedFiles.revision) == revision))
    return row


def _first(changes: Sequence[str]) -> list[str]:
    """The changes to store, and the number of further ones."""
    left = len(changes) - MAX_CHANGES
    return [*changes[:MAX_CHANGES], f"and {left:,} more"] if left > 0 else list(changes)


async def _check_first(session: AsyncSession) -> None:
    """Raise ParentConflict unless this is the first revision: no constraint prevents two without a parent."""
    if session.get_bind().dialect.name == "postgresql":
        await session.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _ADVISORY_LOCK})
    if await head(session) is not None:
        raise ParentConflict


async def was_accepted(session: AsyncSession, revision: str) -> bool:
    """Whether the history has a revision, and so its files."""
    return bool(await session.scalar(select(exists().where(col(PolicyRevision.revision) == revision))))


async def was_left_behind(session: AsyncSession, revision: str) -> bool:
    """Whether files of this revision are recorded as outdated; see `leave_behind`."""
    return bool(await session.scalar(select(exists().where(col(OutdatedFiles.revision) == revision))))


async def leave_behind(session: AsyncSession, revision: str, now: datetime) -> None:
    """Record files of this revision as outdated: they were refused, or could not be replaced."""
    if not await was_left_behind(session, revision):
        session.add(OutdatedFiles(revision=revision, seen_at=now))
        await session.flush()


async def forget_kept(session: AsyncSession) -> None:
    """Delete the outdated records of accepted revisions: files that go back to one count as an edit again."""
    accepted = exists().where(col(PolicyRevision.revision) == col(OutdatedFiles.revision))
    await session.execute(delete(OutdatedFiles).where(accepted))


async def after(session: AsyncSession, entry_id: int | None) -> tuple[int, datetime | None]:
    """The number of entries after one, and when the first of them was added."""
    column = col(PolicyRevision.id)
    later = select(func.count(), func.min(col(PolicyRevision.created_at))).where(column > (entry_id or 0))
    count, since = (await session.execute(later)).one()
    return count, since


async def holds(session: AsyncSession, entry_id: int, revision: str) -> bool:
    """Whether the history has this entry. A database that was restored may give its id to another revision."""
    return (await by_id(session, [entry_id])).get(entry_id) == revision


async def by_id(session: AsyncSession, ids: Collection[int]) -> Mapping[int, str]:
    """The revision of each of these entries that the history has."""
    query = select(col(PolicyRevision.id), col(PolicyRevision.revision)).where(col(PolicyRevision.id).in_(ids))
    return {row.id: row.revision for row in await session.execute(query)}


async def origin(session: AsyncSession) -> str | None:
    """A name for this history: its first revision and when it was added. None before the first entry.

    A backup of the database has the same name, any other database has another one. SQLite has none: it belongs to one
    machine, whose files count as an edit at a start whatever the history has.
    """
    if session.get_bind().dialect.name == "sqlite":
        return None
    first = select(col(PolicyRevision.revision), col(PolicyRevision.created_at)).order_by(col(PolicyRevision.id))
    row = (await session.execute(first.limit(1))).one_or_none()
    return f"{row.revision} {row.created_at.astimezone(UTC).isoformat()}" if row else None


async def find(session: AsyncSession, revision: str) -> PolicyRevision | None:
    """The newest entry of a revision."""
    newest = col(PolicyRevision.id).desc()
    named = select(PolicyRevision).where(col(PolicyRevision.revision) == revision).order_by(newest).limit(1)
    return (await session.scalars(named)).one_or_none()


async def find_by_prefix(session: AsyncSession, start: str, *, limit: int) -> Sequence[str]:
    """The distinct revisions that start with these digits, in order."""
    column = col(PolicyRevision.revision)
    named = select(column).where(column.startswith(start, autoescape=True)).distinct().order_by(column).limit(limit)
    return (await session.scalars(named)).all()


async def entry(session: AsyncSession, entry_id: int) -> PolicyRevision | None:
    """The entry with this id."""
    return (await session.scalars(select(PolicyRevision).where(col(PolicyRevision.id) == entry_id))).one_or_none()


async def page(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[PolicyRevision]:
    """The newest entries without their files, or the newest of those with an id below `before`."""
    query = select(PolicyRevision).options(_WITHOUT_FILES).order_by(col(PolicyRevision.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(PolicyRevision.id) < before)
    return (await session.scalars(query)).all()


def files_of(row: PolicyRevision) -> dict[str, str]:
    """The files of a revision, by name."""
    files: dict[str, str] = json.loads(files_json(row))
    return files


def files_json(row: PolicyRevision) -> bytes:
    """The files of a revision as a JSON object, as it is stored."""
    return zlib.decompress(row.files)

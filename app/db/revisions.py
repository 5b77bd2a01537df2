"""The history of the policy in the database. None of these functions commits."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, cast

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import defer
from sqlmodel import col

from app.db.tables.history import AdminAction, PolicyRevision

_WITHOUT_FILES = defer(cast(Any, PolicyRevision.files), raiseload=True)


class Overtaken(Exception):
    """Another revision follows the same parent already."""


async def head(session: AsyncSession) -> PolicyRevision | None:
    """The newest revision; None before the first."""
    newest = select(PolicyRevision).order_by(col(PolicyRevision.id).desc()).limit(1)
    return (await session.scalars(newest.options(_WITHOUT_FILES))).one_or_none()


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
) -> PolicyRevision:
    """Add the revision that follows a parent. Raises Overtaken."""
    row = PolicyRevision(
        parent_id=parent.id if parent else None,
        revision=revision,
        kind=kind,
        author=author,
        message=message,
        widens=widens,
        created_at=now,
        changes=list(changes),
        files=zlib.compress(json.dumps(dict(files)).encode()),
    )
    session.add(row)
    try:
        await session.flush()
    except IntegrityError:
        raise Overtaken from None
    return row


async def find(session: AsyncSession, revision: str) -> PolicyRevision | None:
    """The newest entry of a revision."""
    newest = col(PolicyRevision.id).desc()
    named = select(PolicyRevision).where(col(PolicyRevision.revision) == revision).order_by(newest).limit(1)
    return (await session.scalars(named)).one_or_none()


async def starting(session: AsyncSession, start: str, *, limit: int) -> Sequence[str]:
    """The revisions that start with these digits, each once, in order."""
    column = col(PolicyRevision.revision)
    named = select(column).where(column.startswith(start, autoescape=True)).distinct().order_by(column).limit(limit)
    return (await session.scalars(named)).all()


async def entry(session: AsyncSession, entry_id: int) -> PolicyRevision | None:
    """The entry with this id."""
    return (await session.scalars(select(PolicyRevision).where(col(PolicyRevision.id) == entry_id))).one_or_none()


async def page(session: AsyncSession, *, before: int | None, limit: int) -> Sequence[PolicyRevision]:
    """Entries without their files, newest first: those below `before`, the newest without it."""
    query = select(PolicyRevision).options(_WITHOUT_FILES).order_by(col(PolicyRevision.id).desc()).limit(limit)
    if before is not None:
        query = query.where(col(PolicyRevision.id) < before)
    return (await session.scalars(query)).all()


def files_of(row: PolicyRevision) -> dict[str, str]:
    """The files of a revision, by name."""
    files: dict[str, str] = json.loads(zlib.decompress(row.files))
    return files


async def audit(session: AsyncSession, action: AdminAction) -> None:
    """Add what an administrator did, in the transaction that does it."""
    session.add(action)
    await session.flush()

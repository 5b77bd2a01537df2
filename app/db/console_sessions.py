"""Sessions of the console, identified by the SHA-256 of their token, which is not stored."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.database_clock import confirmed_now, database_now
from app.db.session import lock_first
from app.db.tables.console import ConsoleSession
from app.identity.organization import Organization, as_json

MAX_OF_USER = 1_000  # since a program can sign in again and again
_ID = col(ConsoleSession.id)


async def insert(
    session: AsyncSession,
    *,
    digest: bytes,
    subject: str,
    name: str,
    permissions: Sequence[str],
    organization: Organization | None = None,
    act: dict[str, str] | None = None,
    now: datetime,
    expires_at: datetime,
) -> ConsoleSession:
    """Store a new session and return it.

    Those that have expired by the clock of the database are deleted, and the oldest of a user who has too many.
    """
    row = ConsoleSession(
        digest=digest,
        subject=subject,
        name=name,
        permissions=list(permissions),
        organization=as_json(organization),
        org_permissions=list(organization.permissions) if organization else None,
        act=act,
        created_at=now,
        expires_at=expires_at,
    )
    session.add(row)
    await session.flush()  # first: on SQLite a transaction that has read may fail at once when it writes
    confirmed = await confirmed_now(session, await database_now(session, now), col(ConsoleSession.created_at))
    if confirmed is not None:
        await session.execute(delete(ConsoleSession).where(col(ConsoleSession.expires_at) <= confirmed))
    own = col(ConsoleSession.subject) == subject
    newest_excess = select(_ID).where(own).order_by(_ID.desc()).offset(MAX_OF_USER).limit(1).scalar_subquery()
    excess = delete(ConsoleSession).where(own, newest_excess >= _ID)
    await session.execute(excess, execution_options={"synchronize_session": False})
    return row


async def find(session: AsyncSession, digest: bytes, now: datetime) -> ConsoleSession | None:
    """The session whose token has this digest, unless it has expired."""
    alive = select(ConsoleSession).where(col(ConsoleSession.digest) == digest, col(ConsoleSession.expires_at) > now)
    return (await session.scalars(alive)).one_or_none()


async def list_for(session: AsyncSession, subject: str, now: datetime) -> Sequence[ConsoleSession]:
    """The sessions of a user that have not expired, newest first."""
    query = select(ConsoleSession).where(col(ConsoleSession.subject) == subject, col(ConsoleSession.expires_at) > now)
    return (await session.scalars(query.order_by(col(ConsoleSession.id).desc()))).all()


async def end(session: AsyncSession, digest: bytes) -> int | None:
    """End a session and return its id; None if there is no such session."""
    await lock_first(session)
    ended = delete(ConsoleSession).where(col(ConsoleSession.digest) == digest).returning(col(ConsoleSession.id))
    return await session.scalar(ended, execution_options={"synchronize_session": False})


async def end_all(session: AsyncSession, subject: str) -> int:
    """End every session of a user, and return how many there were."""
    await lock_first(session)
    ended = delete(ConsoleSession).where(col(ConsoleSession.subject) == subject).returning(col(ConsoleSession.id))
    return len((await session.scalars(ended, execution_options={"synchronize_session": False})).all())

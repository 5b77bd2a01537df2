"""Blocks a person: ends all their access by apps, keys and the console, and lets no app or session begin again."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.audit.actor import Actor
from app.audit.admin_log import Detail
from app.db import admin_actions, console_sessions
from app.db.disk import carry_out
from app.db.session import lock_first
from app.db.tables.oauth import Person
from app.identity.org_facts import ORG
from app.keys.revocations import revoke_keys_of
from app.oauth.grants import end_grants
from app.oauth.own_grants import record_ends

MAX_SUBJECT = 255


@dataclass(frozen=True, slots=True)
class BlockedPerson:
    """A person who is blocked, with the numbers of what was ended now. `blocked_at` is null for one who is not.

    `was_blocked` is whether the person was blocked before.
    """

    subject: str
    blocked_at: datetime | None
    apps: int = 0
    sessions: int = 0
    keys: int = 0
    was_blocked: bool = False


def subject_fault(subject: str) -> str:
    """Why no person can have this `sub`; empty if one can."""
    if not 0 < len(subject) <= MAX_SUBJECT or not subject.isprintable():
        return f"The `sub` of a user has 1 to {MAX_SUBJECT} printable characters."
    if subject.startswith(ORG):
        return f"`{ORG}` begins the owner of an organization's keys, and the `sub` of no user: revoke its keys instead."
    return ""


async def block_person(session: AsyncSession, subject: str, by: Actor, now: datetime) -> BlockedPerson:
    """Block a person, also one who never signed in here. Blocking again ends what has begun since.

    Tokens that the issuer signs are accepted until they expire: disable the person there, too.
    """

    async def block() -> BlockedPerson:
        await lock_first(session)
        person = await _locked(session, subject)
        # The person's row is locked before the grants, as at a sign-in, and changed after them: the trigger of a
        # change waits for that of any other.
        ended = await end_grants(session, subject, now)
        await record_ends(session, ended, subject, by, now)
        sessions = await console_sessions.end_all(session, subject)
        before = person.blocked_at
        blocked_at = before or now
        change = update(Person).where(col(Person.id) == person.id).values(blocked_at=blocked_at)
        await session.execute(change, execution_options={"synchronize_session": False})
        if before is None or ended or sessions:
            details: dict[str, Detail] = {"apps": len(ended), "sessions": sessions}
            admin_actions.record(session, by, "person.block", f"user:{subject}", now=now, details=details)
        await session.commit()
        return BlockedPerson(subject, blocked_at, len(ended), sessions, was_blocked=before is not None)

    blocked = await carry_out(session, block)
    keys = [key async for key in revoke_keys_of(session, subject, by, now)]
    return replace(blocked, keys=len(keys))


async def unblock_person(session: AsyncSession, subject: str, by: Actor, now: datetime) -> BlockedPerson:
    """Let a person sign in and allow apps again. What the block ended stays ended."""
    await lock_first(session)
    own = (col(Person.subject) == subject, col(Person.blocked_at).is_not(None))
    change = update(Person).where(*own).values(blocked_at=None).returning(col(Person.id))
    unblocked = await session.scalar(change, execution_options={"synchronize_session": False})
    if unblocked is not None:
        admin_actions.record(session, by, "person.unblock", f"user:{subject}", now=now)
        await session.commit()
    return BlockedPerson(subject, None, was_blocked=unblocked is not None)


async def _locked(session: AsyncSession, subject: str) -> Person:
    query = select(Person).where(col(Person.subject) == subject).with_for_update()
    person = (await session.scalars(query)).one_or_none()
    if person is not None:
        return person
    with suppress(IntegrityError):  # the person signs in for the first time meanwhile
        async with session.begin_nested():
            session.add(Person(subject=subject, permissions=[]))
    return (await session.scalars(query)).one()

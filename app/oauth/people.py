"""The users that signed in here: their permissions then, and whether they are blocked. No function commits."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession
from sqlmodel import col

from app.db.session import lock_first
from app.db.tables.oauth import Person
from app.identity.organization import Organization, as_json


class PersonBlocked(Exception):
    """The user is blocked."""


async def note_sign_in(
    session: AsyncSession,
    subject: str,
    permissions: Iterable[str],
    now: datetime,
    organization: Organization | None,
) -> None:
    """Store the permissions that the issuer granted a user at a sign-in, and the user's organization.

    Raises PersonBlocked.
    """
    await lock_first(session)
    held, acts_in = sorted(permissions), as_json(organization)
    change = (
        update(Person)
        .where(col(Person.subject) == subject)
        .values(permissions=held, organization=acts_in, signed_in_at=now)
        .returning(col(Person.blocked_at))
    )
    for _ in range(2):  # again if the first sign-ins of a user happen at the same time
        row = (await session.execute(change, execution_options={"synchronize_session": False})).one_or_none()
        if row is not None:
            if row.blocked_at is not None:
                raise PersonBlocked
            return
        try:
            async with session.begin_nested():
                session.add(Person(subject=subject, permissions=held, organization=acts_in, signed_in_at=now))
            return
        except IntegrityError:
            continue
    raise RuntimeError("a person appeared and disappeared")


async def require_unblocked(session: AsyncSession, subject: str) -> None:
    """Raise PersonBlocked if the user is blocked. The session must have no transaction yet.

    Until it ends, no other transaction blocks the user, who would keep what this one begins.
    """
    await lock_first(session)
    person = await find_person(session, subject, lock=True)
    if person is not None and person.blocked_at is not None:
        raise PersonBlocked


async def find_person(session: AsyncSession, subject: str, *, lock: bool = False) -> Person | None:
    """The person with a `sub`; None if the user never signed in here.

    With `lock` no other transaction blocks the person until this one ends.
    """
    query = select(Person).where(col(Person.subject) == subject)
    found = await session.scalars(
        query.with_for_update() if lock else query, execution_options={"populate_existing": lock}
    )
    return found.one_or_none()

"""People who are first seen by two transactions at the same time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from app.db.session import Sessions
from app.db.tables.oauth import Person
from app.oauth.people import note_sign_in
from app.oauth.people_blocks import block_person
from tests.oauth.flows import BY, NOW

pytestmark = pytest.mark.anyio
LATER = NOW + timedelta(minutes=1)


async def sign_in(session: AsyncSession) -> None:
    await note_sign_in(session, "user_new", ["b:read"], LATER, None)
    await session.commit()


async def block(session: AsyncSession) -> None:
    await block_person(session, "user_new", BY, LATER)


async def after_a_first_sign_in(sessions: Sessions, act: Callable[[AsyncSession], Awaitable[None]]) -> Person:
    """The person after an act that begins before the first sign-in is committed."""

    async def begin() -> None:
        async with sessions() as session:
            await act(session)

    async with sessions() as session:
        await note_sign_in(session, "user_new", ["a:read"], NOW, None)
        other = asyncio.create_task(begin())
        await asyncio.sleep(0.2)
        assert not other.done()
        await session.commit()
        await other
        return (await session.scalars(select(Person), execution_options={"populate_existing": True})).one()


async def test_a_second_first_sign_in_counts_after_the_first(sessions: Sessions) -> None:
    person = await after_a_first_sign_in(sessions, sign_in)
    assert (person.permissions, person.signed_in_at, person.blocked_at) == (["b:read"], LATER, None)


async def test_a_block_during_a_first_sign_in_counts(sessions: Sessions) -> None:
    person = await after_a_first_sign_in(sessions, block)
    assert (person.permissions, person.signed_in_at, person.blocked_at) == (["a:read"], NOW, LATER)

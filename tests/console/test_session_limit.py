"""The end of sessions of the console: by their time, by a limit for each user, and by their user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import count

import pytest
from sqlalchemy import text

from app.console import cookies
from app.db import console_sessions
from app.db.session import Sessions

pytestmark = pytest.mark.anyio

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
_names = count()


async def begin(sessions: Sessions, now: datetime, subject: str = "user_ann") -> tuple[str, bytes]:
    """The name and the digest of a new session, which lasts for a minute."""
    name, digest = str(next(_names)), cookies.digest(cookies.new_token())
    async with sessions() as session:
        await console_sessions.insert(
            session, digest=digest, subject=subject, name=name, permissions=[], now=now, expires_at=now + MINUTE
        )
        await session.commit()
    return name, digest


async def stored(sessions: Sessions) -> list[str]:
    async with sessions() as session:
        return list((await session.scalars(text("SELECT name FROM console_sessions ORDER BY id"))).all())


async def test_beyond_the_limit_the_oldest_session_ends(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_sessions, "MAX_OF_USER", 3)
    now = datetime.now(UTC)
    begun = [(await begin(sessions, now, ("user_ann", "user_bob")[number % 2]))[0] for number in range(12)]
    assert await stored(sessions) == begun[6:]
    monkeypatch.setattr(console_sessions, "MAX_OF_USER", 1)  # as in a later version
    last, _ = await begin(sessions, now, "user_bob")
    assert await stored(sessions) == [*begun[6:11:2], last]


async def test_a_session_ends_at_its_time(sessions: Sessions) -> None:
    now = datetime.now(UTC)
    for after in (0, 1):
        name, digest = await begin(sessions, now + after * MINUTE)
    await begin(sessions, now, "user_bob")
    for moment, listed in (
        (now + 2 * MINUTE - timedelta(microseconds=1), [name]),
        (now + 2 * MINUTE, []),
    ):
        async with sessions() as session:
            found = await console_sessions.find(session, digest, moment)
            assert [each.name for each in await console_sessions.list_for(session, "user_ann", moment)] == listed
            assert ([] if found is None else [found.name]) == listed


async def test_expired_sessions_are_deleted(sessions: Sessions) -> None:
    """On SQLite by the time of a session that is a day old; on PostgreSQL its clock counts."""
    now = datetime.now(UTC) - 3 * DAY
    begun = [(await begin(sessions, now + seconds * MINUTE / 60))[0] for seconds in (0, 1, 60)]
    is_postgresql = (await _name_of_database(sessions)) == "postgresql"
    newest, _ = await begin(sessions, now + MINUTE + DAY)
    assert await stored(sessions) == ([] if is_postgresql else [*begun[1:], newest])


async def test_a_session_is_ended_alone_or_with_all_of_its_user(sessions: Sessions) -> None:
    now = datetime.now(UTC)
    begun = [await begin(sessions, now, subject) for subject in ("user_ann", "user_ann", "user_ann", "user_bob")]
    async with sessions() as session:
        assert await console_sessions.end(session, begun[0][1]) is not None
        assert await console_sessions.end(session, begun[0][1]) is None
        assert await console_sessions.end_all(session, "user_ann") == 2
        assert await console_sessions.end_all(session, "user_ann") == 0
        await session.commit()
    assert await stored(sessions) == [begun[3][0]]


async def _name_of_database(sessions: Sessions) -> str:
    async with sessions() as session:
        return str(session.get_bind().dialect.name)

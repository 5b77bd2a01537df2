"""A user has a limited number of sessions of the console."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.console import cookies
from app.db import console_sessions
from app.db.session import Sessions

pytestmark = pytest.mark.anyio


async def test_beyond_the_limit_the_oldest_session_ends(sessions: Sessions, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(console_sessions, "MAX_OF_USER", 3)
    now = datetime.now(UTC)
    for number in range(12):
        async with sessions() as session:
            await console_sessions.insert(
                session,
                digest=cookies.digest(cookies.new_token()),
                subject=("user_ann", "user_bob")[number % 2],
                name=str(number),
                permissions=[],
                now=now,
                expires_at=now + timedelta(minutes=1),
            )
            await session.commit()
    async with sessions() as session:
        names = (await session.scalars(text("SELECT name FROM console_sessions ORDER BY id"))).all()
    assert names == ["6", "7", "8", "9", "10", "11"]

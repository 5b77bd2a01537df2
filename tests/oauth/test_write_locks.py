"""What is written for apps and their users waits for SQLite's write lock as the token endpoint does, not after it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import console_sessions
from app.db.session import Sessions
from app.db.write_lock import BEGIN_IMMEDIATE
from app.oauth.errors import OAuthError
from app.oauth.own_grants import NoSuchGrant, end_own_grant, end_own_grants
from app.oauth.people import note_sign_in
from app.oauth.people_blocks import block_person, unblock_person
from app.oauth.requests import OpenRequest, open_request, push_request, take_pushed_request
from tests.oauth.flows import BY, NOW, sqlite_sessions

pytestmark = pytest.mark.anyio
ASKED = OpenRequest("app_x", {})
ACTS: dict[str, Callable[[AsyncSession], Awaitable[Any]]] = {
    "open": lambda session: open_request(session, ASKED, "", "b" * 43, NOW),
    "push": lambda session: push_request(session, ASKED, "", NOW),
    "take": lambda session: take_pushed_request(session, "urn:ietf:params:oauth:request_uri:" + "0" * 48, "app_x", NOW),
    "sign in": lambda session: note_sign_in(session, "user_ann", [], NOW, None),
    "end one": lambda session: end_own_grant(session, "user_ann", 7, BY, NOW),
    "end all": lambda session: end_own_grants(session, "user_ann", BY, NOW),
    "end a session": lambda session: console_sessions.end(session, b"x" * 32),
    "end sessions": lambda session: console_sessions.end_all(session, "user_ann"),
    "block": lambda session: block_person(session, "user_ann", BY, NOW),
    "unblock": lambda session: unblock_person(session, "user_ann", BY, NOW),
}


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Sessions]:
    async with sqlite_sessions(tmp_path) as (sessions, _):
        yield sessions


@pytest.mark.parametrize("name", ACTS)
async def test_a_transaction_that_writes_begins_with_the_lock(stored: Sessions, name: str) -> None:
    statements: list[str] = []
    async with stored() as session:
        engine = session.get_bind()
        event.listen(engine, "before_cursor_execute", lambda *given: statements.append(given[2]))
        try:
            await ACTS[name](session)
        except (OAuthError, NoSuchGrant):
            """There is nothing to take or to end."""
        await session.commit()
    assert statements[0] == BEGIN_IMMEDIATE

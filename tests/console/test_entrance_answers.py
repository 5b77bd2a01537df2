"""The entrance of the console without a server: its principals and its refusals."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import async_sessionmaker

from app.console.config import Console
from app.console.cookies import digest
from app.console.entrance import ConsoleEntrance
from app.db import console_sessions
from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from app.http.door.refusal import Refusal
from app.identity.errors import AuthenticationFault, CannotVerify
from app.identity.principal import ANONYMOUS, Principal, user_principal
from app.policy.engine.decision import Decision
from app.policy.language.reason import Reason
from tests.console.sessions import NONE_RESERVED
from tests.support.server import prepared_database

pytestmark = pytest.mark.anyio

TOKEN = "t" * 43
PLAIN = Console("http://127.0.0.1:7", "https://issuer.example", "console", None, 3600, 0)
SECURE = Console("https://console.example", "https://issuer.example", "console", None, 3600, 0)
WITHOUT_SESSIONS = ConsoleEntrance(PLAIN, async_sessionmaker(), NONE_RESERVED)


@pytest.fixture
async def stored(tmp_path: Path) -> AsyncIterator[Sessions]:
    """A database in which TOKEN is a session of user_test, and "o…" is an expired one."""
    shutil.copy(prepared_database(), tmp_path / "authz.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'authz.db'}")
    now = datetime.now(UTC)
    async with sessions_of(engine)() as session:
        for token, ends in (("o" * 43, now), (TOKEN, now + timedelta(seconds=60))):
            await console_sessions.insert(
                session,
                digest=digest(token),
                subject="user_test",
                name="Test Person",
                permissions=["catalog:read", "role:admin"],
                now=now - timedelta(seconds=60),
                expires_at=ends,
            )
        await session.commit()
    yield sessions_of(engine)
    await engine.dispose()


def headers(cookie: str) -> list[tuple[bytes, bytes]]:
    return [(b"authorization", b"Bearer x"), (b"cookie", cookie.encode())]


async def caller(entrance: ConsoleEntrance, cookie: str) -> Principal:
    found = entrance.cached(headers(cookie))
    return found if isinstance(found, Principal) else await entrance.verify(found)


def denial(*missing: str) -> Decision:
    return Decision(False, Reason.NOT_HELD, "0", missing=missing)


async def test_the_cookie_of_a_session_authenticates_its_user(stored: Sessions) -> None:
    person = user_principal("user_test", ["catalog:read"], {})
    for console, cookie in ((PLAIN, f"authz={TOKEN}"), (SECURE, f"__Host-authz={TOKEN}")):
        entrance = ConsoleEntrance(console, stored, NONE_RESERVED)
        assert entrance.cached(headers(cookie)) == TOKEN
        found = await caller(entrance, cookie)
        assert found.session_id is not None
        assert found == replace(person, session_id=found.session_id)
        assert dict(found.claims) == {"name": "Test Person"}


@pytest.mark.parametrize(
    ("console", "cookie"),
    [
        (PLAIN, ""),
        (PLAIN, f"authz={'x' * 43}"),
        (PLAIN, f"authz={'o' * 43}"),
        (PLAIN, f"authz={TOKEN}; authz={TOKEN}"),
        (PLAIN, f"__Host-authz={TOKEN}"),
        (SECURE, f"authz={TOKEN}"),
        (None, f"authz={TOKEN}"),
        (None, f"__Host-authz={TOKEN}"),
    ],
)
async def test_other_callers_are_anonymous(stored: Sessions, console: Console | None, cookie: str) -> None:
    assert await caller(ConsoleEntrance(console, stored, NONE_RESERVED), cookie) is ANONYMOUS


async def test_a_session_with_the_subject_of_another_issuer_has_ended(stored: Sessions) -> None:
    """It began before that issuer was trusted with this prefix."""
    entrance = ConsoleEntrance(PLAIN, stored, lambda subject: subject.startswith("user_"))
    assert await caller(entrance, f"authz={TOKEN}") is ANONYMOUS


@pytest.mark.parametrize("kind", ["no tables", "no server"])
async def test_no_session_is_accepted_while_the_database_is_unavailable(tmp_path: Path, kind: str) -> None:
    urls = {"no tables": f"sqlite:///{tmp_path / 'empty.db'}", "no server": "postgresql://user:x@127.0.0.1:1/authz"}
    engine = open_engine(urls[kind], timeout_seconds=1)
    entrance = ConsoleEntrance(PLAIN, sessions_of(engine), NONE_RESERVED)
    with pytest.raises(CannotVerify) as failed:
        await caller(entrance, f"authz={TOKEN}")
    assert failed.value.detail == "Sessions cannot be read now."
    assert failed.value.retry_after >= 1
    assert await caller(entrance, "authz=x") is ANONYMOUS, "no database is needed"
    await engine.dispose()


async def answer_of(answer: Any, **scope: Any) -> tuple[int, dict[str, str], str]:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        return {"type": "websocket.connect"}

    whole = {"type": "http", "method": "GET", "path": "/console", "query_string": b"", **scope}
    await answer.send(whole, receive, send)
    stated = {name.decode(): value.decode() for name, value in sent[0]["headers"]}
    return sent[0]["status"], stated, sent[1]["body"].decode()


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("path", "query", "to"),
    [
        ("/console", b"", "%2Fconsole"),
        ("/console/keys", b"page=2&x=%2F", "%2Fconsole%2Fkeys%3Fpage%3D2%26x%3D%252F"),
        ("/console/{id}/a-b._~", b"", "%2Fconsole%2F%7Bid%7D%2Fa-b._~"),
        ("/console/é ?", b"\xe9", "%2Fconsole%2F%25C3%25A9%2520%253F%3F%C3%A9"),
    ],
)
async def test_a_get_request_is_redirected_to_the_sign_in_and_back(
    method: str, path: str, query: bytes, to: str
) -> None:
    for fault in (AuthenticationFault.NOT_PROVIDED, AuthenticationFault.TOKEN):
        refusal = WITHOUT_SESSIONS.unauthenticated(fault)
        status, stated, body = await answer_of(refusal, method=method, path=path, query_string=query)
        assert (status, body) == (303, "")
        assert stated == {
            "location": f"/console/sign-in?to={to}",
            "cache-control": "no-store",
            "content-length": "0",
        }


@pytest.mark.parametrize(
    "scope",
    [
        {"method": "POST"},
        {"method": "DELETE"},
        {"method": "OPTIONS"},
        {"type": "websocket", "method": "GET", "extensions": {"websocket.http.response": {}}},
    ],
    ids=str,
)
async def test_a_form_of_an_anonymous_user_is_answered_with_a_page(scope: dict[str, Any]) -> None:
    status, stated, body = await answer_of(WITHOUT_SESSIONS.unauthenticated(AuthenticationFault.NOT_PROVIDED), **scope)
    assert (status, stated["cache-control"]) == (401, "no-store")
    assert "Your session has ended" in body
    assert 'href="/console/sign-in">Sign in</a>' in body
    assert "location" not in stated


def text_of(refusal: Refusal) -> str:
    return refusal.body.decode()


async def test_a_refused_page_shows_the_missing_permissions() -> None:
    missing = WITHOUT_SESSIONS.forbidden(denial("keys:read", "keys:write"))
    assert missing.status == 403
    assert "<h1>You may not open this page</h1>" in text_of(missing)
    assert "<dt>Missing</dt><dd><code>keys:read keys:write</code></dd>" in text_of(missing)
    assert "Missing" not in text_of(WITHOUT_SESSIONS.forbidden(denial()))


async def test_an_unavailable_page_says_when_to_retry() -> None:
    refusal = WITHOUT_SESSIONS.unavailable(CannotVerify("Sessions cannot be read now.", 7))
    assert (refusal.status, dict(refusal.headers)[b"retry-after"]) == (503, b"7")
    assert dict(refusal.headers)[b"content-type"] == b"text/html; charset=utf-8"
    assert "Sessions cannot be read now. Try again in a moment." in text_of(refusal)

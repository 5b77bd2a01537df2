"""Users with a session that is inserted into the database of a server, without a sign-in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial

import httpx

from app.console.cookies import csrf_token, digest, new_token
from app.db import console_sessions
from app.db.engine import open_engine
from app.db.session import sessions_of
from app.identity.jwt import JwtVerifier
from app.identity.organization import Organization
from tests.support.server import Server

NONE_RESERVED = partial(JwtVerifier().is_reserved, "https://issuer.example")


class Person:
    """A user with a session; `csrf` is the token of its forms."""

    def __init__(self, server: Server, token: str) -> None:
        self.token = token
        self.csrf = csrf_token(token)
        self.url = server.url

    def get(self, path: str, **headers: str) -> httpx.Response:
        """Get a page."""
        return httpx.get(self.url + path, headers={"Cookie": f"authz={self.token}", **headers}, timeout=20)

    def post(self, path: str, **fields: str | list[str]) -> httpx.Response:
        """Send a form as from a page of the console."""
        headers = {"Cookie": f"authz={self.token}", "Origin": self.url}
        return httpx.post(self.url + path, data={"csrf": self.csrf, **fields}, headers=headers, timeout=20)


def sign_in(
    server: Server,
    subject: str = "user_test",
    permissions: Sequence[str] = (),
    *,
    name: str = "Test Person",
    seconds: float = 600,
    organization: Organization | None = None,
    act: dict[str, str] | None = None,
) -> Person:
    """Insert a session of `subject` that lasts `seconds`."""
    token = new_token()

    async def store() -> None:
        engine = open_engine(server.env["AUTHZ_DATABASE_URL"])
        now = datetime.now(UTC)
        async with sessions_of(engine)() as session:
            await console_sessions.insert(
                session,
                digest=digest(token),
                subject=subject,
                name=name,
                permissions=permissions,
                organization=organization,
                act=act,
                now=now,
                expires_at=now + timedelta(seconds=seconds),
            )
            await session.commit()
        await engine.dispose()

    # In a separate thread, since a test with a browser already has a running event loop.
    with ThreadPoolExecutor(1) as executor:
        executor.submit(asyncio.run, store()).result()
    return Person(server, token)

"""Apps of a running server: what they hold is put into its database, and they use its endpoints."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from itertools import count
from typing import Any, TypeVar

import httpx
from sqlalchemy import update
from sqlmodel import col

from app.db.engine import open_engine
from app.db.session import Sessions, sessions_of
from app.db.tables.oauth_clients import OAuthClient
from app.oauth.exchange import IssuedTokens
from tests.oauth.flows import REDIRECT, SCOPES, VERIFIER, Flow, new_flow
from tests.support.server import Server

_T = TypeVar("_T")
_numbers = count()


def new_address() -> str:
    """An address that no other client of a test has."""
    number = next(_numbers)
    return f"10.0.{number // 250}.{number % 250 + 1}"


def in_database(server: Server, act: Callable[[Sessions], Awaitable[_T]]) -> _T:
    """What `act` returns, which uses the database of a server."""

    async def run() -> _T:
        engine = open_engine(server.env["AUTHZ_DATABASE_URL"])
        try:
            return await act(sessions_of(engine))
        finally:
            await engine.dispose()

    # In a separate thread, since a test with a browser already has a running event loop.
    with ThreadPoolExecutor(1) as executor:
        return executor.submit(asyncio.run, run()).result()


class ServedApp:
    """An app that is registered at a server."""

    def __init__(self, server: Server, *, confidential: bool = False) -> None:
        self.server = server
        self.address = new_address()
        flow = in_database(
            server, lambda sessions: new_flow(sessions, server.env["AUTHZ_DATABASE_URL"], confidential=confidential)
        )
        self.app, self.client_id, self.secret = flow.app, flow.client_id, flow.secret

    def consent(self, subject: str = "user_ann", *, scopes: Collection[str] = SCOPES, **stated: Any) -> str:
        """The code after a user has allowed the app."""

        async def act(sessions: Sessions) -> str:
            stated.setdefault("resource", self.server.url)
            flow = Flow(sessions, self.server.env["AUTHZ_DATABASE_URL"], self.app, self.secret)
            return await flow.consent(subject, scopes=scopes, now=datetime.now(UTC), **stated)

        return in_database(self.server, act)

    def stored_tokens(self, subject: str = "user_ann", **stated: Any) -> IssuedTokens:
        """The tokens for a new code, which is exchanged in the database and not at the server."""
        code = self.consent(subject, **stated)

        async def redeem(sessions: Sessions) -> IssuedTokens:
            flow = Flow(sessions, self.server.env["AUTHZ_DATABASE_URL"], self.app, self.secret)
            return await flow.redeem(code, datetime.now(UTC))

        return in_database(self.server, redeem)

    def change(self, **values: Any) -> None:
        """Change the row of the app, as an administrator or its document would."""

        async def act(sessions: Sessions) -> None:
            async with sessions() as session:
                await session.execute(
                    update(OAuthClient).where(col(OAuthClient.client_id) == self.client_id).values(**values)
                )
                await session.commit()

        in_database(self.server, act)

    def send(self, path: str = "/oauth/token", /, **form: str) -> httpx.Response:
        """The answer to a form of the app."""
        own = {"client_id": self.client_id} | ({"client_secret": self.secret} if self.secret else {})
        headers = {"X-Forwarded-For": self.address}
        return httpx.post(self.server.url + path, data={**own, **form}, headers=headers, timeout=20)

    def redeem(self, code: str, **form: str) -> httpx.Response:
        """The answer to a code."""
        stated = {"code": code, "code_verifier": VERIFIER, "redirect_uri": REDIRECT, **form}
        return self.send(grant_type="authorization_code", **stated)

    def tokens(self, **stated: Any) -> dict[str, Any]:
        """The tokens for a new code."""
        answer = self.redeem(self.consent(**stated))
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

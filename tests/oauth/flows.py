"""Consents, codes and tokens in a database, for tests of the authorization server."""

from __future__ import annotations

import shutil
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.audit.actor import Actor
from app.db.disk import DiskSpace
from app.db.engine import LOCK_FIRST, open_engine
from app.db.session import Sessions, sessions_of
from app.db.tables.oauth_clients import OAuthClient
from app.identity.access_token_verifier import AccessTokenVerifier
from app.identity.errors import Unauthenticated
from app.oauth import registry
from app.oauth.access_tokens import access_token_lookup
from app.oauth.app_order import AppOrder
from app.oauth.client_authentication import ClientCredentials
from app.oauth.codes import issue_code
from app.oauth.errors import ErrorCode, OAuthError
from app.oauth.exchange import IssuedTokens, TokenExchange
from app.oauth.grants import store_grant
from app.oauth.people import find_person, note_sign_in
from app.oauth.resource import resource_of
from tests.support.server import prepared_database

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
BY = Actor("user_admin", None, "request-1", door="api")
PUBLIC_URL = "https://api.example"
REDIRECT = "https://app.example/cb"
VERIFIER = "a-verifier-of-forty-three-characters-or-more-"
SCOPES = ("catalog:read", "holdings:read")


def challenge_of(verifier: str) -> str:
    """The S256 challenge of a verifier."""
    return urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()


@asynccontextmanager
async def sqlite_sessions(directory: Path) -> AsyncIterator[tuple[Sessions, str]]:
    """Sessions of a new SQLite database, and its URL."""
    shutil.copy(prepared_database(), directory / "authz.db")
    url = f"sqlite:///{directory / 'authz.db'}"
    engine = open_engine(url)
    yield sessions_of(engine), url
    await engine.dispose()


class Flow:
    """One app and one user, and what the app does at the token endpoint."""

    def __init__(self, sessions: Sessions, url: str, app: OAuthClient, secret: str | None) -> None:
        self.sessions = sessions
        self.app = app
        self.client_id = app.client_id
        self.secret = secret
        self.wrong_secrets = 0
        self.exchange = TokenExchange(
            DiskSpace(url), resource_of=lambda asked: resource_of(asked, PUBLIC_URL), count_bad_secret=self._count
        )

    def _count(self, _: str) -> int:
        self.wrong_secrets += 1
        return 7 if self.wrong_secrets > 10 else 0

    async def consent(
        self,
        subject: str = "user_ann",
        *,
        scopes: Iterable[str] = SCOPES,
        resource: str = PUBLIC_URL,
        now: datetime = NOW,
        permissions: Collection[str] = SCOPES,
    ) -> str:
        """The code after a user has signed in and allowed the app."""
        async with self.sessions() as session:
            await session.connection(execution_options=LOCK_FIRST)
            await note_sign_in(session, subject, permissions, now, None)
            person = await find_person(session, subject)
            assert person is not None
            grant = await store_grant(session, person, self.app, list(scopes), now)
            code = await issue_code(
                session,
                grant.id,
                redirect_uri=REDIRECT,
                challenge=challenge_of(VERIFIER),
                scopes=sorted(scopes),
                resource=resource,
                now=now,
            )
            await session.commit()
        return code

    async def send(self, now: datetime = NOW, *, resources: Collection[str] = (), **form: str) -> IssuedTokens:
        """The tokens that the app gets. Raises OAuthError."""
        given = ClientCredentials(self.client_id, form.pop("client_secret", self.secret), basic=False)
        async with self.sessions() as session:
            return await self.exchange.exchange(session, given, form, resources, now)

    async def redeem(self, code: str, now: datetime = NOW, **form: str) -> IssuedTokens:
        """The tokens for a code."""
        stated = {"code_verifier": VERIFIER, "redirect_uri": REDIRECT, **form}
        return await self.send(now, grant_type="authorization_code", code=code, **stated)

    async def refresh(self, token: str | None, now: datetime = NOW, **form: str) -> IssuedTokens:
        """The tokens for a refresh token."""
        assert token is not None
        return await self.send(now, grant_type="refresh_token", refresh_token=token, **form)

    async def code_of_refresh(self, token: str | None, now: datetime = NOW) -> ErrorCode | None:
        """The error of a refresh; None if it is answered."""
        try:
            await self.refresh(token, now)
        except OAuthError as refused:
            return refused.code
        return None


async def new_flow(sessions: Sessions, url: str, *, confidential: bool = False) -> Flow:
    """An app that was just registered."""
    async with sessions() as session:
        new = await registry.register_app(session, AppOrder("Scores", [REDIRECT], confidential), BY, NOW)
    return Flow(sessions, url, new.app, new.plaintext)


async def refused(attempt: Any) -> str:
    """The error code of what an app does."""
    with pytest.raises(OAuthError) as error:
        await attempt
    return error.value.code


async def fault_of(flow: Flow, token: str, after: timedelta = timedelta(seconds=1)) -> str | None:
    """What the verifier says about an access token; None if it is accepted."""
    verifier = AccessTokenVerifier(
        access_token_lookup(flow.sessions), cache_seconds=60, on_accepted=lambda _: None, now=lambda: NOW + after
    )
    try:
        await verifier.look_up(verifier.parse(token))
    except Unauthenticated as error:
        return error.code
    return None

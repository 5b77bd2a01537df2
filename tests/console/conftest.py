"""Servers with a console, and users who sign in at a real issuer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.console.login_state import LoginState, begin
from app.console.oidc import OpenId
from app.identity.jwks import KeySet
from tests.console.browsing import Browser
from tests.console.developers import Subject, developer
from tests.console.signing_in import openid_of
from tests.support.browser import chromium, context, page, profile
from tests.support.certificate import Certificate
from tests.support.issuer import CONSOLE, PARTY, LiveIssuer
from tests.support.server import AUTHZ, Server, free_port

__all__ = ["browser", "chromium", "console", "context", "own_console", "page", "person", "profile"]


@pytest.fixture(scope="session")
def console(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shipped policy and the console, for tests that do not change the policy."""
    with console_server(issuer, tmp_path_factory.mktemp("console")) as started:
        yield started


@pytest.fixture
def own_console(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Server]:
    """A server with the console for one test, which may edit its policy, stop it or break it."""
    with console_server(issuer, tmp_path) as started:
        yield started


@pytest.fixture
def browser(console: Server) -> Iterator[Browser]:
    started = Browser(console)
    with started.http:
        yield started


@pytest.fixture
def person(console: Server) -> Subject:
    """A developer without keys."""
    return developer(console)


@pytest.fixture
async def openid(issuer: LiveIssuer) -> AsyncIterator[OpenId]:
    """The console as a client of the issuer."""
    async with KeySet(issuer.jwks_url) as keys:
        started = openid_of(issuer, keys)
        yield started
        await started.close()


@pytest.fixture
def attempt() -> LoginState:
    """The state of a sign-in that has begun."""
    return begin("/console/account")


def console_server(
    issuer: LiveIssuer, directory: Path, certificate: Certificate | None = None, **settings: str
) -> Server:
    """A server with the console, not yet started, with a fixed port for its redirect URI."""
    port = free_port()
    scheme, options = ("https", certificate.options) if certificate else ("http", ())
    stated: dict[str, Any] = {
        "authorized_parties": f"{PARTY},{CONSOLE.id}",
        "organizations": "clerk",
        "console_client_id": CONSOLE.id,
        "console_url": f"{scheme}://127.0.0.1:{port}",
        **settings,
    }
    command = (str(AUTHZ), "serve", "--port", str(port), *options)
    return Server(directory, jwks_url=issuer.jwks_url, issuer=issuer.url, command=command, **stated)


def server_for_apps(issuer: LiveIssuer, directory: Path, **settings: str) -> Server:
    """Such a server that gives tokens to apps: its public address is its own."""
    server = console_server(issuer, directory, None, **settings)
    server.env["AUTHZ_PUBLIC_URL"] = server.env["AUTHZ_CONSOLE_URL"]
    return server

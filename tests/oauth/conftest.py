"""A server that gives tokens to apps, and users who sign in there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from app.db.session import Sessions
from tests.console.browsing import Browser
from tests.console.conftest import console, server_for_apps
from tests.oauth.asking import new_browser
from tests.oauth.flows import Flow, new_flow, sqlite_sessions
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

__all__ = ["console"]


@pytest.fixture(scope="session")
def app_server(issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server with the shipped policy, for tests that do not change the policy. Its public address is its own."""
    # Each browser and each app has an address of its own, since requests have a budget by address.
    server = server_for_apps(issuer, tmp_path_factory.mktemp("apps"), trusted_proxies="127.0.0.1")
    with server:
        yield server


@pytest.fixture
def own_apps(issuer: LiveIssuer, tmp_path: Path) -> Iterator[Callable[[], Server]]:
    """A function that starts such a server for one test, which may stop it or spend its budgets."""
    server = server_for_apps(issuer, tmp_path, trusted_proxies="127.0.0.1")
    yield server.start
    server.stop()


@pytest.fixture
def browsers() -> Iterator[Callable[[Server], Browser]]:
    """A function that opens a browser without scripts."""
    with ExitStack() as opened:

        def new(server: Server) -> Browser:
            browser = new_browser(server)
            opened.enter_context(browser.http)
            return browser

        yield new


@pytest.fixture
def visitor(app_server: Server, browsers: Callable[[Server], Browser]) -> Browser:
    """A browser without scripts."""
    return browsers(app_server)


@pytest.fixture
async def flow(sqlite: tuple[Sessions, str]) -> Flow:
    """A flow of an app without a secret, on SQLite."""
    return await new_flow(*sqlite)


@pytest.fixture
async def sqlite(tmp_path: Path) -> AsyncIterator[tuple[Sessions, str]]:
    """Sessions of a new SQLite database, and its URL."""
    async with sqlite_sessions(tmp_path) as found:
        yield found

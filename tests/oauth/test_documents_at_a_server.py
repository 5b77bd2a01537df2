"""A server fetches no document before a sign-in, and none from its own machine or network."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest

from tests.console.browsing import Browser
from tests.oauth.asking import ask, opened
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import Server

NOT_PUBLIC = "its host has no public address, or has others too"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port of this machine to which nothing should connect."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def is_untouched(listening: socket.socket) -> bool:
    try:
        listening.accept()
    except BlockingIOError:
        return True
    return False


def test_nothing_is_fetched_from_the_own_machine(
    app_server: Server, issuer: LiveIssuer, browsers: Callable[[Server], Browser], listener: socket.socket
) -> None:
    browser, app = browsers(app_server), ServedApp(app_server)
    port = listener.getsockname()[1]
    for host in ("localhost", "127.0.0.1", "[::1]", "[::ffff:7f00:1]", "0.0.0.0", "10.0.0.1", "169.254.169.254"):
        app.client_id = f"https://{host}:{port}/client.json"
        asked = ask(browser, app)
        assert is_untouched(listener), "before the sign-in nothing is known of the app"
        page = opened(browser, issuer, asked)
        assert page.status_code == 400, host
        assert NOT_PUBLIC in page.text, host
        assert is_untouched(listener), host


def test_an_app_that_was_not_found_gets_no_answer(
    app_server: Server, issuer: LiveIssuer, browsers: Callable[[Server], Browser]
) -> None:
    browser, app = browsers(app_server), ServedApp(app_server)
    for client_id in (
        "https://127.1/client.json",
        "https://[::ffff:127.0.0.1]/client.json",
        "https://user@localhost/client.json",
        "https://localhost",
    ):
        app.client_id = client_id
        page = opened(browser, issuer, ask(browser, app))
        assert page.status_code == 400
        assert "the client id must be a URL" in page.text
        assert "location" not in page.headers

"""While the database does not answer, apps get a 503 and no 401, which would make them forget their tokens."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from app.identity.oauth_tokens import mint_token
from tests.console.browsing import Browser
from tests.console.conftest import server_for_apps
from tests.oauth.asking import ask
from tests.oauth.served import ServedApp
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server


@pytest.fixture
def locked(issuer: LiveIssuer, tmp_path: Path) -> Iterator[tuple[ServedApp, dict[str, str]]]:
    """An app with tokens, of a server that cannot read access tokens, nor write anything."""
    server = server_for_apps(issuer, tmp_path, trusted_proxies="127.0.0.1", database_timeout_seconds="1")
    with server:
        app = ServedApp(server)
        held = {**app.tokens(), "code": app.consent()}
        with closing(sqlite3.connect(server.directory / DATABASE, isolation_level=None)) as database:
            database.execute("ALTER TABLE oauth_access_tokens RENAME TO elsewhere")
            database.execute("BEGIN IMMEDIATE")
            yield app, held
            database.execute("ROLLBACK")


def test_an_outage_is_a_503(locked: tuple[ServedApp, dict[str, str]], browsers: Callable[[Server], Browser]) -> None:
    app, held = locked
    unknown = {"Authorization": f"Bearer {mint_token('access')}"}
    called = httpx.get(f"{app.server.url}/api/v1/teams", headers=unknown, timeout=30)
    assert (called.status_code, called.json()) == (503, {"detail": "Tokens of apps cannot be verified now."})
    assert called.headers["retry-after"] == "1"
    for answer in (
        app.redeem(held["code"]),
        app.send(grant_type="refresh_token", refresh_token=held["refresh_token"]),
        app.send("/oauth/revoke", token=held["refresh_token"]),
    ):
        assert (answer.status_code, answer.json()["error"]) == (503, "temporarily_unavailable")
        assert int(answer.headers["retry-after"]) > 0
    page = ask(browsers(app.server), app)
    assert page.status_code == 503
    assert "location" not in page.headers
    for line in app.server.written_lines():
        assert not any(held[name][8:] in line for name in ("code", "access_token", "refresh_token"))

"""What the admin log has of the sessions of the console."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

from app.console.cookies import csrf_token, digest
from tests.console.browsing import Browser
from tests.console.sessions import sign_in
from tests.support.issuer import LiveIssuer
from tests.support.server import Server


def rows_of(console: Server, query: str, *values: object) -> list[Any]:
    with closing(sqlite3.connect(console.directory / "authz.db")) as database:
        return database.execute(query, values).fetchall()


def last_act(console: Server, author: str) -> tuple[Any, ...]:
    """The newest act of a user: action, target, door, method, the id of the session, and details."""
    columns = "action, target, door, method, session_id, details"
    (row,) = rows_of(console, f"SELECT {columns} FROM admin_actions WHERE author = ? ORDER BY id DESC LIMIT 1", author)
    return (*row[:-1], json.loads(row[-1]))


def id_of(console: Server, token: str | None) -> int:
    ((number,),) = rows_of(console, "SELECT id FROM console_sessions WHERE digest = ?", digest(token or ""))
    assert isinstance(number, int)
    return number


def test_the_start_of_a_session_is_recorded_with_the_session_that_it_replaces(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    replaced = None
    for _ in range(2):
        assert browser.sign_in(issuer).status_code == 303
        number = id_of(console, browser.session)
        details = {"permissions": ["catalog:read", "catalog:write"], "replaces": replaced}
        assert last_act(console, "user_alice") == (
            *("session.start", f"session:{number}", "console", "jwt"), number, details
        )  # fmt: skip
        replaced = f"session:{number}"
    browser.http.post("/console/sign-out", data={"csrf": csrf_token(browser.session or "")})
    assert last_act(console, "user_alice") == ("session.end", f"session:{number}", "console", "jwt", number, {})


def test_the_end_of_all_sessions_is_recorded_with_their_number(console: Server) -> None:
    people = [sign_in(console, "user_in_many_places") for _ in range(3)]
    here = id_of(console, people[0].token)
    assert people[0].post("/console/sign-out/everywhere").status_code == 303
    target, details = "user:user_in_many_places", {"sessions": 3}
    assert last_act(console, "user_in_many_places") == ("session.end_all", target, "console", "jwt", here, details)

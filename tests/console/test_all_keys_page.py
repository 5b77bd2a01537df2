"""The page of all keys: filters, sorting, paging and revocation."""

from __future__ import annotations

import re
import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta

import httpx

from tests.console.admins import officer, words
from tests.support.issuer import LiveIssuer
from tests.support.server import DATABASE, Server, eventually

PATH = "/console/all-keys"


def issue(server: Server, issuer: LiveIssuer, subject: str, name: str = "a key") -> tuple[int, str]:
    """A key of a user: its number and plaintext."""
    with server.client(issuer.token(sub=subject, permissions="catalog:read")) as client:
        made = client.post("/api/v1/api-keys/", json={"name": name, "scopes": ["catalog:read"]}).json()
    return int(made["api_key"]["id"]), str(made["plaintext"])


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(rf'href="{PATH}/(\d+)/revoke"', page)]


def test_a_key_is_found_by_owner_and_prefix_and_its_plaintext_is_not_shown(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    key_id, plaintext = issue(console, issuer, "user_found")
    for query in (
        "owner=user_found",
        f"prefix={plaintext[:17]}",
        f"prefix={plaintext}",
        "status=unused&owner=user_found",
    ):
        page = person.get(f"{PATH}?{query}").text
        assert numbers(page) == [key_id], query
        assert plaintext not in page
        assert plaintext[:17] in page
    assert "expires soon" not in words(person.get(f"{PATH}?owner=user_found").text)
    with closing(sqlite3.connect(console.directory / DATABASE)) as database, database:
        ends = (datetime.now(UTC) + timedelta(days=7.5)).strftime("%Y-%m-%d %H:%M:%S.%f")
        database.execute("UPDATE api_keys SET expires_at = ? WHERE id = ?", (ends, key_id))
    assert "Active" in words(person.get(f"{PATH}?owner=user_found").text)
    assert numbers(person.get(f"{PATH}?owner=user_found&status=expiring").text) == []
    assert "No key matches" in words(person.get(f"{PATH}?owner=user_foun").text)
    for wrong in ("prefix=abc", "prefix=%25", "status=new", "cursor=x"):
        assert person.get(f"{PATH}?{wrong}").status_code == 400


def test_a_revoked_key_is_refused_by_the_next_request_and_audited(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    key_id, plaintext = issue(console, issuer, "user_ended", "the nightly job")

    def call() -> httpx.Response:
        with console.client(plaintext) as client:
            return client.get("/api/v1/teams")

    assert call().status_code == 200
    asked = words(person.get(f"{PATH}/{key_id}/revoke").text)
    assert "the nightly job" in asked
    assert plaintext[:17] in asked
    reader = officer(console, "keys:read")
    assert f"{PATH}/{key_id}/revoke" not in reader.get(f"{PATH}?owner=user_ended").text
    assert reader.post(f"{PATH}/{key_id}/revoke").status_code == 403
    assert call().status_code == 200
    assert person.post(f"{PATH}/{key_id}/revoke").status_code == 303
    assert call().json() == {"detail": "API key has been revoked."}
    assert "revoked" in words(person.get(f"{PATH}?owner=user_ended").text)
    assert "It was revoked" in words(person.get(f"{PATH}/{key_id}/revoke").text)
    assert person.post(f"{PATH}/{key_id}/revoke").status_code == 303
    with closing(sqlite3.connect(console.directory / DATABASE)) as database:
        done = database.execute("SELECT action, author FROM admin_actions WHERE target = ?", (f"key:{key_id}",))
        assert done.fetchall() == [("key.issue", "user_ended"), ("key.revoke", "user_officer")]
    for unknown in ("0", "999999", "x", "99999999999999999999"):
        assert person.get(f"{PATH}/{unknown}/revoke").status_code == 404
        assert person.post(f"{PATH}/{unknown}/revoke").status_code == 404
    missing = person.get(f"{PATH}/1/nothing")
    assert (missing.status_code, missing.text.count("Not Found</")) == (404, 1), "in the heading alone"


def test_each_sort_order_lists_every_key_once(own_console: Server, issuer: LiveIssuer) -> None:
    person = officer(own_console)
    assert "There are no keys yet" in words(person.get(PATH).text)
    issue(own_console, issuer, "user_first")
    with closing(sqlite3.connect(own_console.directory / DATABASE)) as database, database:
        columns = "subject, name, environment, key_prefix, digest, scopes, created_at, last_used_at, expires_at"
        for number in range(2, 131):
            # A third was never used, a third never expires, and some share a time.
            used = None if number % 3 == 0 else f"2026-01-{number % 7 + 1:02} 00:00:00.000000"
            expires = None if number % 3 == 1 else f"9999-12-{number % 7 + 25} 23:59:59.999999"
            database.execute(
                f"INSERT INTO api_keys ({columns}) SELECT subject, name, environment, key_prefix,"
                " ?, scopes, created_at, ?, ? FROM api_keys WHERE id = 1",
                (number.to_bytes(32), used, expires),
            )
    orders = {}
    for sort in ("newest", "oldest", "used", "expires"):
        address, seen = f"{PATH}?sort={sort}", list[int]()
        while address:
            page = person.get(address).text
            assert len(page) < 100_000
            seen += numbers(page)
            following = re.search(r'rel="next" href="([^"]+)"', page)
            address = following[1].replace("&amp;", "&") if following else ""
        assert sorted(seen) == list(range(1, 131)), sort
        orders[sort] = seen
    assert orders["oldest"] == orders["newest"][::-1]
    never = [number for number in range(1, 131) if number % 3 == 0 or number == 1]
    assert set(orders["used"][-len(never) :]) == set(never)
    assert orders["used"] != orders["expires"] != orders["newest"]


def test_a_key_beyond_its_owner_is_marked(console: Server, issuer: LiveIssuer) -> None:
    person = officer(console)
    key_id, _ = issue(console, issuer, "user_narrowed")

    def page() -> str:
        return person.get(f"{PATH}?owner=user_narrowed").text

    with closing(sqlite3.connect(console.directory / DATABASE, timeout=10)) as database, database:
        database.execute("UPDATE decision_callers SET subject = 'user_other' WHERE subject = 'user_narrowed'")
    assert "Beyond owner" in page(), "the log does not state that the owner holds it"
    # With other grants than at the issue: the log may have stored that caller, who is renamed here.
    with console.client(issuer.token(sub="user_narrowed", permissions="catalog:read policies:read")) as client:
        assert client.get("/api/v1/teams").status_code == 200
    assert eventually(lambda: "Beyond owner" not in page())
    with console.client(issuer.token(sub="user_narrowed", permissions="")) as client:
        assert client.get("/api/v1/teams").status_code == 403
    assert eventually(lambda: "Beyond owner" in page())
    with closing(sqlite3.connect(console.directory / DATABASE, timeout=10)) as database, database:
        database.execute("UPDATE api_keys SET token_grants = '[]' WHERE id = ?", (key_id,))
    assert "Scopes not in force" in page()
    assert "Beyond owner" not in page()

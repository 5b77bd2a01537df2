"""Sign-in and sign-out over HTTP at a real issuer: redirects, cookies and sessions."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from app.console.cookies import digest
from app.dev.people import PEOPLE
from tests.console.browsing import Browser
from tests.console.conftest import console_server
from tests.console.sessions import sign_in as with_session
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import Server


def test_the_sign_in_page_names_the_issuer(browser: Browser, issuer: LiveIssuer) -> None:
    page = browser.get("/console/sign-in?to=/console/account")
    assert page.status_code == 200
    assert 'href="/console/sign-in/start?to=%2Fconsole%2Faccount"' in page.text
    assert f">Sign in at {urlsplit(issuer.url).netloc}<" in page.text
    assert "<script" not in page.text


def test_signing_in_begins_a_session_and_redirects_to_the_page(browser: Browser, issuer: LiveIssuer) -> None:
    answer = browser.sign_in(issuer)
    assert (answer.status_code, answer.headers["location"]) == (303, "/console/account")
    (cookie,) = [value for value in answer.headers.get_list("set-cookie") if value.startswith("authz=")]
    flags = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"httponly", "path=/", "samesite=lax", "max-age=3600"} <= flags
    page = browser.get("/console/account")
    assert page.status_code == 200
    assert "Alice Adams" in page.text
    assert "catalog:write" in page.text
    assert "holdings:read" not in page.text
    assert browser.get("/console/sign-in?to=/console/account").headers["location"] == "/console/account"
    assert browser.http.cookies.get("authz-sign-in") is None


def flags_of(answer: httpx.Response, name: str) -> set[str]:
    """The attributes of the one cookie of this name that an answer sets."""
    (cookie,) = [value for value in answer.headers.get_list("set-cookie") if value.startswith(f"{name}=")]
    return {part.strip().lower() for part in cookie.split(";")[1:]}


def test_cookies_last_as_long_as_the_sign_in_and_the_session(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    begun = browser.get("/console/sign-in/start")
    assert flags_of(begun, "authz-sign-in") == {"httponly", "path=/", "samesite=lax", "max-age=600"}
    answer = browser.sign_in(issuer, "user_bob")
    assert "max-age=0" in flags_of(answer, "authz-sign-in")
    with closing(sqlite3.connect(console.directory / "authz.db")) as database:
        rows = database.execute(
            "SELECT julianday(expires_at) - julianday(created_at) FROM console_sessions WHERE digest = ?",
            [digest(browser.session or "")],
        ).fetchall()
    assert [round(days * 86_400) for (days,) in rows] == [3600]
    page = browser.get("/console/account").text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    assert "max-age=0" in flags_of(browser.http.post("/console/sign-out", data={"csrf": csrf}), "authz")


@pytest.mark.parametrize("path", ["/console/sign-in", "/console/sign-in/start"])
def test_the_length_of_a_return_address_is_bounded(browser: Browser, path: str) -> None:
    for length, status in ((4000, {200, 303}), (4001, {400})):
        assert browser.http.get(path, params={"to": "/".ljust(length, "a")}).status_code in status


def test_the_authorization_request_has_pkce_state_and_nonce(browser: Browser) -> None:
    first, second = browser.begin(), browser.begin()
    assert first["code_challenge_method"] == "S256"
    for name in ("state", "nonce", "code_challenge"):
        assert len(first[name]) == 43
        assert first[name] != second[name]


def test_over_tls_the_cookies_are_bound_to_the_host(
    issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    directory = tmp_path_factory.mktemp("tls")
    with console_server(issuer, directory, console_url="https://console.example") as server, Browser(server).http as at:
        cookie = at.get("/console/sign-in/start").headers["set-cookie"]
    assert cookie.startswith("__Host-authz-sign-in=")
    assert "; secure" in cookie.lower()
    assert "domain" not in cookie.lower()


def test_signing_in_ends_the_previous_session(browser: Browser, issuer: LiveIssuer, console: Server) -> None:
    planted = with_session(console, "user_mallory")
    browser.http.cookies.set("authz", planted.token, domain="127.0.0.1")
    asked = browser.begin()
    browser.get(browser.choose(issuer, asked))
    assert browser.session not in (None, planted.token)
    assert planted.get("/console/account").status_code == 303


def test_only_a_digest_of_the_session_is_stored_and_nothing_is_logged(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    browser.get(callback)
    code = dict(parse_qsl(urlsplit(callback).query))["code"]
    token = browser.session
    assert token
    with closing(sqlite3.connect(console.directory / "authz.db")) as database:
        found = database.execute("SELECT * FROM console_sessions").fetchall()
    # Compare in hexadecimal: random bytes might contain the text by chance.
    rows = repr([[value.hex() if isinstance(value, bytes) else value for value in row] for row in found])
    log = "\n".join(console.written_lines())
    for secret in (token, code, asked["state"], asked["nonce"], "eyJ"):
        assert secret not in rows
        assert secret not in log


@pytest.mark.parametrize(
    "to",
    [
        "https://evil.example/",
        "//evil.example/console",
        "/console/../api/v1/teams",
        "/console\\evil.example",
        "/console//evil.example",
        "/consolex",
        "/api/v1/teams",
        "/console/sign-out",
        "/console/callback?x=1",
        "/console/\r\nSet-Cookie: a=b",
        "/console/" + "a" * 1001,
        "javascript:alert(1)",
        "/console@evil.example",
    ],
)
def test_a_sign_in_never_redirects_to_another_site(browser: Browser, issuer: LiveIssuer, to: str) -> None:
    answer = browser.get(browser.choose(issuer, browser.begin(to)))
    assert answer.headers["location"] == "/console"
    browser.http.cookies.clear()
    page = browser.http.get("/console/sign-in", params={"to": to})
    assert 'start?to=%2Fconsole"' in page.text


def test_a_sign_in_returns_to_the_page_with_its_query(browser: Browser, issuer: LiveIssuer) -> None:
    to = "/console/account?route=/api/v1/teams/{id}&since=2h"
    sent = browser.get(to).headers["location"]
    to = dict(parse_qsl(urlsplit(sent).query))["to"]
    assert browser.get(browser.choose(issuer, browser.begin(to))).headers["location"] == to


def test_signing_out_ends_this_session_alone(browser: Browser, issuer: LiveIssuer, console: Server) -> None:
    browser.sign_in(issuer)
    elsewhere = with_session(console, "user_alice")
    token = browser.session
    page = browser.get("/console/account").text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    answer = browser.http.post("/console/sign-out", data={"csrf": csrf}, headers={"Origin": console.url})
    assert answer.headers["location"] == "/console/signed-out"
    assert browser.session is None
    with closing(sqlite3.connect(console.directory / "authz.db")) as database:
        last = database.execute("SELECT action, author FROM admin_actions ORDER BY id DESC LIMIT 1").fetchall()
    assert last == [("session.end", "user_alice")]
    stolen = httpx.get(f"{console.url}/console/account", headers={"Cookie": f"authz={token}"})
    assert stolen.status_code == 303
    assert elsewhere.get("/console/account").status_code == 200
    signed_out = browser.get("/console/signed-out").text
    assert f" {urlsplit(issuer.url).netloc}" in signed_out
    assert f"{issuer.url}/logout?client_id={CONSOLE.id}&amp;post_logout_redirect_uri=" in signed_out


def test_signing_out_everywhere_ends_all_sessions_of_the_user(console: Server) -> None:
    here, there = (with_session(console, "user_everywhere") for _ in range(2))
    another = with_session(console, "user_elsewhere")
    assert here.get("/console/account").text.count("<li>Since") == 2
    assert here.post("/console/sign-out/everywhere").status_code == 303
    assert there.get("/console/account").status_code == 303
    assert another.get("/console/account").status_code == 200


@pytest.mark.parametrize("path", ["/console/sign-out", "/console/sign-out/everywhere"])
def test_a_form_of_another_site_ends_no_session(console: Server, path: str) -> None:
    person = with_session(console)
    cookie = {"Cookie": f"authz={person.token}"}
    for headers, fields in (
        ({**cookie, "Origin": "https://evil.example"}, {"csrf": person.csrf}),
        ({**cookie, "Origin": "null"}, {"csrf": person.csrf}),
        (cookie, {"csrf": "x"}),
        (cookie, {"other": "x"}),
        (cookie, {"csrf": with_session(console).csrf}),
    ):
        assert httpx.post(console.url + path, data=fields, headers=headers).status_code == 403
    assert httpx.get(console.url + path, headers=cookie).status_code == 405
    assert person.get("/console/account").status_code == 200


HOSTILE = ("<script>alert(1)</script>", "\u202eevil\u202c", "nul\x00byte", "x" * 500, '\U0001f3c8 O\'Brien & "Co"')


@pytest.mark.parametrize("name", HOSTILE, ids=["script", "bidi", "nul", "long", "quotes"])
def test_a_name_from_the_issuer_is_shown_as_text(browser: Browser, issuer: LiveIssuer, name: str) -> None:
    person = replace(PEOPLE[0], subject="user_hostile", name=name)
    issuer.provider.people = (*PEOPLE, person)
    try:
        assert browser.sign_in(issuer, "user_hostile").status_code == 303
    finally:
        issuer.provider.people = PEOPLE
    page = browser.get("/console/account").text
    assert "<script" not in page
    assert "\u202e" not in page
    assert "\x00" not in page
    assert "x" * 201 not in page
    if "\x00" in name:
        assert "nul\ufffdbyte" in page, "no database holds a NUL in a text"


def test_a_user_without_permissions_sees_what_to_do(browser: Browser, issuer: LiveIssuer) -> None:
    browser.sign_in(issuer, "user_dan")
    assert "You have no permissions" in browser.get("/console/account").text


@pytest.mark.parametrize(
    ("to", "mode", "status"),
    [
        ("/console/consent/x", "navigate", 200),
        ("/console/consent/x", "cors", 303),
        ("/console/consent/x", "", 303),
        ("/console/account", "navigate", 303),
    ],
)
def test_a_browser_is_led_to_a_consent_by_a_page(
    browser: Browser, issuer: LiveIssuer, to: str, mode: str, status: int
) -> None:
    """The consent may redirect to an app at once, which Chrome blocks after a redirect of the issuer's form."""
    callback = browser.choose(issuer, browser.begin(to))
    answer = browser.http.get(callback, headers={"Sec-Fetch-Mode": mode})
    assert answer.status_code == status
    assert answer.headers.get("location") == (to if status == 303 else None)
    assert (f'content="0; url={to}"' in answer.text) is (status == 200)
    opener = "unsafe-none" if "consent" in to else "same-origin"
    assert answer.headers["cross-origin-opener-policy"] == opener
    assert answer.headers["cache-control"] == "no-store"
    assert browser.session is not None
    assert "authz-sign-in" not in browser.http.cookies

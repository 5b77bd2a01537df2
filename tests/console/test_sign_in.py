"""Signing in and out over HTTP, at a real issuer: what is refused, and what a session is worth."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from app.console.discovery import Undiscovered, read
from app.dev.people import PEOPLE
from app.dev.wire import Asked, Reply, tell
from tests.console.conftest import console_server
from tests.console.sessions import sign_in as with_session
from tests.issuer import CONSOLE, LiveIssuer
from tests.server import Server

Twist = Callable[[Asked, Reply], Reply]


class Browser:
    """A browser without scripts: it keeps cookies, and goes one step at a time."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.http = httpx.Client(base_url=server.url, timeout=20)

    def get(self, path: str) -> httpx.Response:
        return self.http.get(path)

    def begin(self, to: str = "/console/account") -> dict[str, str]:
        """Go to the issuer, with its own request's parameters."""
        answer = self.http.get("/console/sign-in/start", params={"to": to})
        assert answer.status_code == 303, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["location"]).query))

    def choose(self, issuer: LiveIssuer, asked: dict[str, str], person: str = "user_alice") -> str:
        """Sign in at the issuer; the path that it sends the browser to."""
        answer = httpx.post(f"{issuer.url}/authorize", data={**asked, "person": person})
        assert answer.headers["location"].startswith(self.server.url + "/console/callback?")
        return str(answer.headers["location"]).removeprefix(self.server.url)

    def sign_in(self, issuer: LiveIssuer, person: str = "user_alice") -> httpx.Response:
        return self.http.get(self.choose(issuer, self.begin(), person))

    @property
    def session(self) -> str | None:
        return self.http.cookies.get("authz")


@pytest.fixture
def browser(console: Server) -> Iterator[Browser]:
    started = Browser(console)
    with started.http:
        yield started


@contextmanager
def twisted(issuer: LiveIssuer, twist: Twist) -> Iterator[None]:
    """An issuer whose answers are changed."""
    issuer.twist, before = twist, issuer.twist
    try:
        yield
    finally:
        issuer.twist = before


def changed_tokens(issuer: LiveIssuer, change: Callable[[dict[str, object]], dict[str, object]]) -> Twist:
    def twist(asked: Asked, reply: Reply) -> Reply:
        if asked.path != "/token" or reply.status != 200:
            return reply
        return tell(200, change(json.loads(reply.body)))

    return twist


def test_the_sign_in_page_says_where_one_goes(browser: Browser, issuer: LiveIssuer) -> None:
    page = browser.get("/console/sign-in?to=/console/account")
    assert page.status_code == 200
    assert 'href="/console/sign-in/start?to=%2Fconsole%2Faccount"' in page.text
    assert urlsplit(issuer.url).netloc in page.text
    assert "<script" not in page.text


def test_signing_in_begins_a_session_and_goes_on(browser: Browser, issuer: LiveIssuer) -> None:
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


def test_the_issuer_is_asked_with_pkce_state_and_nonce(browser: Browser) -> None:
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


def test_a_session_that_was_there_before_is_over(browser: Browser, issuer: LiveIssuer, console: Server) -> None:
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
        rows = repr(database.execute("SELECT * FROM console_sessions").fetchall())
    log = "\n".join(console.lines)
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
def test_nobody_is_sent_out_of_the_console(browser: Browser, issuer: LiveIssuer, to: str) -> None:
    answer = browser.get(browser.choose(issuer, browser.begin(to)))
    assert answer.headers["location"] == "/console"
    browser.http.cookies.clear()
    page = browser.http.get("/console/sign-in", params={"to": to})
    assert 'start?to=%2Fconsole"' in page.text


def test_a_page_with_its_query_is_come_back_to(browser: Browser, issuer: LiveIssuer) -> None:
    to = "/console/account?route=/api/v1/teams/{id}&since=2h"
    sent = browser.get(to).headers["location"]
    to = dict(parse_qsl(urlsplit(sent).query))["to"]
    assert browser.get(browser.choose(issuer, browser.begin(to))).headers["location"] == to


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"state": "a" * 43}, 400),
        ({"state": ""}, 400),
        ({"iss": "https://evil.example"}, 502),
        ({"iss": ""}, 502),
        ({"code": "made-up"}, 502),
        ({"code": ""}, 502),
        ({"error": "access_denied"}, 403),
        ({"error": "server_error", "error_description": "<script>alert(1)</script>"}, 403),
    ],
)
def test_an_answer_that_does_not_fit_signs_nobody_in(
    browser: Browser, issuer: LiveIssuer, change: dict[str, str], status: int
) -> None:
    callback = browser.choose(issuer, browser.begin())
    sent = {**dict(parse_qsl(urlsplit(callback).query)), **change}
    answer = browser.get("/console/callback?" + urlencode({name: value for name, value in sent.items() if value}))
    assert answer.status_code == status
    assert "Begin again" in answer.text
    assert "<script" not in answer.text
    assert browser.session is None


def test_a_parameter_sent_twice_signs_nobody_in(browser: Browser, issuer: LiveIssuer) -> None:
    callback = browser.choose(issuer, browser.begin())
    assert browser.get(callback + "&code=another").status_code == 400
    assert browser.session is None


def test_an_answer_is_for_the_browser_that_asked(browser: Browser, issuer: LiveIssuer, console: Server) -> None:
    callback = browser.choose(issuer, browser.begin())
    with Browser(console).http as another:
        answer = another.get(callback)
    assert answer.status_code == 400
    assert "authz" not in another.cookies
    assert browser.get(callback).status_code == 303, "the attempt of its own browser is still good"


def test_an_answer_is_good_once(browser: Browser, issuer: LiveIssuer) -> None:
    callback = browser.choose(issuer, browser.begin())
    assert browser.get(callback).status_code == 303
    assert browser.get(callback).status_code == 400


BAD_TOKENS: dict[str, dict[str, Any]] = {
    "another audience": {"aud": "griddy-api"},
    "more than one audience": {"aud": [CONSOLE.id, "another"]},
    "another party": {"azp": "another"},
    "another issuer": {"iss": "https://evil.example"},
    "another nonce": {"nonce": "another"},
    "no nonce": {"nonce": None},
    "no time": {"iat": None},
    "over": {"exp": 1},
    "no subject": {"sub": None},
    "another person": {"sub": "user_bob"},
    "an access token of another time": {"at_hash": "x"},
}


@pytest.mark.parametrize("claims", BAD_TOKENS.values(), ids=list(BAD_TOKENS))
def test_an_id_token_that_is_not_for_us_signs_nobody_in(
    browser: Browser, issuer: LiveIssuer, claims: dict[str, Any]
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"], **claims}
    with twisted(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": issuer.token(**made)})):
        answer = browser.get(callback)
    assert answer.status_code == 502
    assert browser.session is None


@pytest.mark.parametrize("algorithm", ["none", "HS256", "PS256"])
def test_an_id_token_of_another_algorithm_signs_nobody_in(browser: Browser, issuer: LiveIssuer, algorithm: str) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    token = issuer.token(algorithm=algorithm, sub="user_alice", aud=CONSOLE.id, azp=None, nonce=asked["nonce"])
    with twisted(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 502
    assert browser.session is None


def test_an_id_token_of_another_key_signs_nobody_in(
    browser: Browser, issuer: LiveIssuer, strangers: LiveIssuer
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    token = strangers.token(
        iss=issuer.url, sub="user_alice", aud=CONSOLE.id, azp=None, nonce=asked["nonce"], kid=issuer.kid
    )
    with twisted(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 502


def test_permissions_are_of_the_id_token_where_the_api_takes_no_access_token(
    browser: Browser, issuer: LiveIssuer
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"]}
    token = issuer.token(permissions=["holdings:read", "role:admin"], **made)
    opaque = changed_tokens(issuer, lambda sent: {**sent, "id_token": token, "access_token": "opaque"})
    with twisted(issuer, opaque):
        assert browser.get(callback).status_code == 303
    page = browser.get("/console/account").text
    assert "holdings:read" in page
    assert "policies:write" not in page, "a token states no role"


def test_an_access_token_that_looks_like_a_key_is_not_tried_as_one(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    with console.client(issuer.token(sub="user_alice", permissions="catalog:read")) as client:
        body = {"name": "not a token", "scopes": ["catalog:read"]}
        key = client.post("/api/v1/api-keys/", json=body).json()["plaintext"]
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"]}
    token = issuer.token(permissions=[], **made)
    with twisted(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token, "access_token": key})):
        assert browser.get(callback).status_code == 303
    assert "No permission was granted to you" in browser.get("/console/account").text


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, (("Content-Type", "application/json"),), b"{"),
        Reply(200, (("Content-Type", "application/json"),), b"[" * 100_000),
        Reply(200, (("Content-Type", "application/json"),), b" " * 300_000),
        Reply(302, (("Location", "/elsewhere"),), b""),
        Reply(500, (), b""),
        tell(400, {"error": "invalid_grant"}),
        tell(200, {"token_type": "mac"}),
        tell(200, {"token_type": "Bearer"}),
    ],
    ids=["no json", "deep", "big", "redirect", "error", "refused", "type", "empty"],
)
def test_a_token_endpoint_that_answers_badly_signs_nobody_in(
    browser: Browser, issuer: LiveIssuer, answer: Reply
) -> None:
    callback = browser.choose(issuer, browser.begin())
    with twisted(issuer, lambda asked, reply: answer if asked.path == "/token" else reply):
        failed = browser.get(callback)
    assert failed.status_code in (502, 503)
    assert "Begin again" in failed.text


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"issuer": None},
        {"authorization_endpoint": "http://example.com/authorize"},
        {"authorization_endpoint": "https://me@example.com/authorize"},
        {"authorization_endpoint": None},
        {"token_endpoint": "ftp://127.0.0.1/token"},
        {"token_endpoint": "https://example.com/\r\nx"},
        {"end_session_endpoint": "javascript:alert(1)"},
        {"code_challenge_methods_supported": ["plain"]},
    ],
    ids=str,
)
def test_a_discovery_document_that_is_not_sound_sends_nobody_anywhere(
    issuer: LiveIssuer, change: dict[str, object]
) -> None:
    document = {**issuer.provider.discovery(), **change}
    with pytest.raises(Undiscovered):
        read(json.dumps(document).encode(), issuer.url)
    assert read(json.dumps(issuer.provider.discovery()).encode(), issuer.url).token == f"{issuer.url}/token"


def test_while_the_issuer_is_down_the_page_says_so(
    issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def down(asked: Asked, reply: Reply) -> Reply:
        return Reply(503, (), b"")

    with (
        twisted(issuer, down),
        console_server(issuer, tmp_path_factory.mktemp("down")) as server,
        Browser(server).http as at,
    ):
        answer = at.get("/console/sign-in/start")
        assert at.get("/console/signed-out").status_code == 200
    assert answer.status_code == 503
    assert "Try again in a moment" in answer.text


def test_signing_out_ends_this_session_alone(browser: Browser, issuer: LiveIssuer, console: Server) -> None:
    browser.sign_in(issuer)
    elsewhere = with_session(console, "user_alice")
    token = browser.session
    page = browser.get("/console/account").text
    csrf = page.partition('name="csrf" value="')[2].partition('"')[0]
    answer = browser.http.post("/console/sign-out", data={"csrf": csrf}, headers={"Origin": console.url})
    assert answer.headers["location"] == "/console/signed-out"
    assert browser.session is None
    stolen = httpx.get(f"{console.url}/console/account", headers={"Cookie": f"authz={token}"})
    assert stolen.status_code == 303
    assert elsewhere.get("/console/account").status_code == 200
    signed_out = browser.get("/console/signed-out").text
    assert f"{issuer.url}/logout?client_id={CONSOLE.id}&amp;post_logout_redirect_uri=" in signed_out


def test_signing_out_everywhere_ends_all_sessions_of_this_person(console: Server) -> None:
    here, there = (with_session(console, "user_everywhere") for _ in range(2))
    another = with_session(console, "user_elsewhere")
    assert here.get("/console/account").text.count("<li>Since") == 2
    assert here.post("/console/sign-out/everywhere").status_code == 303
    assert there.get("/console/account").status_code == 303
    assert another.get("/console/account").status_code == 200


@pytest.mark.parametrize("path", ["/console/sign-out", "/console/sign-out/everywhere"])
def test_a_form_from_elsewhere_signs_nobody_out(console: Server, path: str) -> None:
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


def test_somebody_without_permissions_learns_what_to_do(browser: Browser, issuer: LiveIssuer) -> None:
    browser.sign_in(issuer, "user_dan")
    assert "No permission was granted to you" in browser.get("/console/account").text

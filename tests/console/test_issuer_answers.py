"""A sign-in through a server begins a session only if all answers of the issuer are valid."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from app.console.discovery import Undiscovered, read
from app.dev.wire import IssuerRequest, Reply, json_reply
from tests.console.browsing import Browser, changed_answers, changed_tokens
from tests.console.conftest import console_server
from tests.support.issuer import CONSOLE, LiveIssuer
from tests.support.server import Server, eventually


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
def test_an_answer_that_does_not_match_the_sign_in_is_refused(
    browser: Browser, issuer: LiveIssuer, change: dict[str, str], status: int
) -> None:
    callback = browser.choose(issuer, browser.begin())
    sent = {**dict(parse_qsl(urlsplit(callback).query)), **change}
    answer = browser.get("/console/callback?" + urlencode({name: value for name, value in sent.items() if value}))
    assert answer.status_code == status
    assert "Try again" in answer.text
    assert "<script" not in answer.text
    assert browser.session is None


@pytest.mark.parametrize(
    ("error", "logged"),
    [
        ("server_error", "server_error"),
        ("e" * 50, "e" * 50),
        *((error, "an unreadable error") for error in ("e" * 51, "two words", "a\nb", "a\n", " a", "<b>", "a-b")),
    ],
)
def test_an_error_of_the_issuer_is_logged_if_it_is_a_short_word(
    browser: Browser, issuer: LiveIssuer, console: Server, error: str, logged: str
) -> None:
    asked, before = browser.begin(), len(console.written_log())
    answer = browser.get("/console/callback?" + urlencode({"state": asked["state"], "iss": issuer.url, "error": error}))
    assert answer.status_code == 403

    def errors() -> list[str]:
        lines = [line for line in console.written_log()[before:] if line.get("event") == "the issuer refused a sign-in"]
        return [line["error"] for line in lines]

    assert eventually(lambda: bool(errors()))
    assert errors() == [logged]


def test_an_answer_with_a_repeated_parameter_starts_no_session(browser: Browser, issuer: LiveIssuer) -> None:
    callback = browser.choose(issuer, browser.begin())
    assert browser.get(callback + "&code=another").status_code == 400
    assert browser.session is None


def test_an_answer_is_bound_to_the_browser_that_began_the_sign_in(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    callback = browser.choose(issuer, browser.begin())
    with Browser(console).http as another:
        answer = another.get(callback)
    assert answer.status_code == 400
    assert "authz" not in another.cookies
    assert browser.get(callback).status_code == 303, "the sign-in of the other browser is unaffected"


def test_an_answer_is_accepted_once(browser: Browser, issuer: LiveIssuer) -> None:
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
def test_an_id_token_for_another_client_starts_no_session(
    browser: Browser, issuer: LiveIssuer, claims: dict[str, Any]
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"], **claims}
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": issuer.token(**made)})):
        answer = browser.get(callback)
    assert answer.status_code == 502
    assert browser.session is None


@pytest.mark.parametrize("ahead", [{}, {"iat": 30}, {"iat": 3, "nbf": 3}, {"exp": -3}], ids=str)
def test_a_small_clock_difference_of_the_issuer_is_accepted(
    browser: Browser, issuer: LiveIssuer, ahead: dict[str, int]
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    times = {name: int(time.time()) + seconds for name, seconds in ahead.items()}
    made: dict[str, Any] = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"], **times}
    # More groups than a header would hold.
    token = issuer.token(**made, groups=[f"{number:036}" for number in range(500)])
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 303
    assert browser.session is not None


def test_an_id_token_that_is_not_yet_valid_starts_no_session(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made: dict[str, Any] = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"]}
    token = issuer.token(**made, nbf=int(time.time()) + 30)
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 502
    assert browser.session is None
    console.wait_for_log(lambda line: "Token is not valid yet." in str(line.get("why")))


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({"name": "Name", "preferred_username": "preferred", "email": "mail@o.example"}, "Name"),
        ({"name": " ", "preferred_username": "preferred", "email": "mail@o.example"}, "preferred"),
        ({"name": 7, "preferred_username": "", "email": " mail@o.example "}, "mail@o.example"),
        ({}, "user_nameless"),
        ({"name": "a\x00b" + "c" * 300}, "a\ufffdb" + "c" * 197),
    ],
)
def test_the_account_page_shows_the_first_name_that_the_issuer_states(
    browser: Browser, issuer: LiveIssuer, claims: dict[str, Any], name: str
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_nameless", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"], **claims}
    changed = {"id_token": issuer.token(**made), "access_token": "opaque"}
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, **changed})):
        assert browser.get(callback).status_code == 303
    page = browser.get("/console/account").text
    assert f">{name}<" in page


@pytest.mark.parametrize("algorithm", ["none", "HS256", "PS256"])
def test_an_id_token_with_another_algorithm_starts_no_session(
    browser: Browser, issuer: LiveIssuer, algorithm: str
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    token = issuer.token(algorithm=algorithm, sub="user_alice", aud=CONSOLE.id, azp=None, nonce=asked["nonce"])
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 502
    assert browser.session is None


def test_an_id_token_of_an_unknown_key_starts_no_session(
    browser: Browser, issuer: LiveIssuer, untrusted_issuer: LiveIssuer
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    token = untrusted_issuer.token(
        iss=issuer.url, sub="user_alice", aud=CONSOLE.id, azp=None, nonce=asked["nonce"], kid=issuer.kid
    )
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token})):
        assert browser.get(callback).status_code == 502


def test_permissions_come_from_the_id_token_if_the_api_refuses_the_access_token(
    browser: Browser, issuer: LiveIssuer
) -> None:
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"]}
    token = issuer.token(permissions=["holdings:read", "role:admin"], **made)
    opaque = changed_tokens(issuer, lambda sent: {**sent, "id_token": token, "access_token": "opaque"})
    with changed_answers(issuer, opaque):
        assert browser.get(callback).status_code == 303
    page = browser.get("/console/account").text
    assert "holdings:read" in page
    assert "policies:write" not in page, "a token states no role"


def test_an_access_token_in_the_form_of_a_key_is_not_verified_as_a_key(
    browser: Browser, issuer: LiveIssuer, console: Server
) -> None:
    with console.client(issuer.token(sub="user_alice", permissions="catalog:read")) as client:
        body = {"name": "not a token", "scopes": ["catalog:read"]}
        key = client.post("/api/v1/api-keys/", json=body).json()["plaintext"]
    asked = browser.begin()
    callback = browser.choose(issuer, asked)
    made = {"sub": "user_alice", "aud": CONSOLE.id, "azp": CONSOLE.id, "nonce": asked["nonce"]}
    token = issuer.token(permissions=[], **made)
    with changed_answers(issuer, changed_tokens(issuer, lambda sent: {**sent, "id_token": token, "access_token": key})):
        assert browser.get(callback).status_code == 303
    assert "You have no permissions" in browser.get("/console/account").text


@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, (("Content-Type", "application/json"),), b"{"),
        Reply(200, (("Content-Type", "application/json"),), b"[" * 100_000),
        Reply(200, (("Content-Type", "application/json"),), b" " * 300_000),
        Reply(302, (("Location", "/elsewhere"),), b""),
        Reply(500, (), b""),
        json_reply(400, {"error": "invalid_grant"}),
        json_reply(200, {"token_type": "mac"}),
        json_reply(200, {"token_type": "Bearer"}),
    ],
    ids=["no json", "deep", "big", "redirect", "error", "refused", "type", "empty"],
)
def test_an_invalid_answer_of_the_token_endpoint_starts_no_session(
    browser: Browser, issuer: LiveIssuer, answer: Reply
) -> None:
    callback = browser.choose(issuer, browser.begin())
    with changed_answers(issuer, lambda asked, reply: answer if asked.path == "/token" else reply):
        failed = browser.get(callback)
    assert failed.status_code in (502, 503)
    assert "Try again" in failed.text


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
def test_an_invalid_discovery_document_redirects_to_no_issuer(issuer: LiveIssuer, change: dict[str, object]) -> None:
    document = {**issuer.provider.discovery(), **change}
    with pytest.raises(Undiscovered):
        read(json.dumps(document).encode(), issuer.url)
    assert read(json.dumps(issuer.provider.discovery()).encode(), issuer.url).token == f"{issuer.url}/token"


def test_while_the_issuer_is_down_the_page_says_so(
    issuer: LiveIssuer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    def down(asked: IssuerRequest, reply: Reply) -> Reply:
        return Reply(503, (), b"")

    with (
        changed_answers(issuer, down),
        console_server(issuer, tmp_path_factory.mktemp("down")) as server,
        Browser(server).http as at,
    ):
        answer = at.get("/console/sign-in/start")
        assert at.get("/console/signed-out").status_code == 200
    assert answer.status_code == 503
    assert "Try again in a moment" in answer.text

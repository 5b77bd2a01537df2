"""What an authorization request must have, and the code and the reason of each refusal."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.oauth.authorization import CheckedRequest, NoRedirect, answer_to, check_request, redirect_of
from app.oauth.client import Client
from app.oauth.errors import OAuthError
from app.oauth.requests import OpenRequest
from tests.policy.small import snapshot

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
REDIRECT, OTHER = "https://app.example/cb", "https://app.example/other"
APP = Client("app_1", "registered", "Scores", "app.example", (REDIRECT,), "1", NOW, NOW)
READ, WRITE = "p, a:read, /x, GET, allow", "p, a:write, /x, POST, allow"
ASKS = ("p, app-kind:registered, scope:a:read, ask, allow", "p, app-kind:registered, scope:a:write, ask, allow")
STATED = {"response_type": "code", "code_challenge": "x" * 43, "code_challenge_method": "S256"}


def check(rows: Collection[str] = ASKS, /, **changes: str | None) -> CheckedRequest:
    """The request with these parameters; None removes one."""
    stated = {name: value for name, value in {**STATED, **changes}.items() if value is not None}
    policy = snapshot(READ, WRITE, *rows)
    return check_request(APP, OpenRequest("app_1", stated), REDIRECT, policy, lambda asked: "+".join(asked) or "own")


def test_a_request_without_a_scope_asks_for_all_that_the_app_may_ask_for() -> None:
    assert check() == CheckedRequest(REDIRECT, ("a:read", "a:write"), "own", "x" * 43)
    asked = check(scope="a:write", resource="u v", response_mode="query")
    assert asked == CheckedRequest(REDIRECT, ("a:write",), "u+v", "x" * 43)


@pytest.mark.parametrize(
    ("changes", "code", "message"),
    [
        ({"request": "x"}, "request_not_supported", "Send the parameters themselves"),
        ({"request": "x", "response_type": "token"}, "request_not_supported", "Send the parameters themselves"),
        ({"response_type": None}, "invalid_request", "The `response_type` is code"),
        ({"response_type": "token"}, "unsupported_response_type", "The `response_type` is code"),
        ({"response_mode": "fragment"}, "invalid_request", "The `response_mode` is query"),
        ({"code_challenge": None}, "invalid_request", "Send a `code_challenge`"),
        ({"code_challenge": "x" * 42}, "invalid_request", "Send a `code_challenge`"),
        ({"code_challenge_method": None}, "invalid_request", "Send a `code_challenge`"),
        ({"code_challenge_method": "plain"}, "invalid_request", "Send a `code_challenge`"),
        ({"scope": "b:read"}, "invalid_scope", "may not ask for"),
        ({"scope": "a:read  a:write"}, "invalid_scope", "not a list of words"),
    ],
)
def test_a_request_that_is_refused(changes: dict[str, str | None], code: str, message: str) -> None:
    with pytest.raises(OAuthError, match=message) as refused:
        check(**changes)
    assert refused.value.code == code


def test_an_app_that_may_ask_for_nothing_gets_no_page() -> None:
    with pytest.raises(OAuthError, match="There is no permission that this app may ask for") as refused:
        check(())
    assert refused.value.code == "invalid_scope"


def test_the_redirect_of_a_request() -> None:
    def redirect(client: Client, **given: str) -> str:
        return redirect_of(client, OpenRequest(client.client_id, given))

    both = replace(APP, redirect_uris=(REDIRECT, OTHER))
    assert redirect(APP) == redirect(APP, redirect_uri=REDIRECT) == REDIRECT
    assert redirect(both, redirect_uri=OTHER) == OTHER
    for client, given, message in (
        (replace(APP, disabled_at=NOW), {"redirect_uri": REDIRECT}, "has disabled this app"),
        (both, {}, "has several addresses"),
        (APP, {"redirect_uri": OTHER}, "not one that is registered"),
    ):
        with pytest.raises(NoRedirect, match=message):
            redirect(client, **given)


def test_the_address_of_an_answer() -> None:
    assert answer_to(REDIRECT, "https://i", None, code="a b") == f"{REDIRECT}?code=a+b&iss=https%3A%2F%2Fi"
    assert answer_to(f"{REDIRECT}?x=1", "i", "s&t", code="c") == f"{REDIRECT}?x=1&code=c&state=s%26t&iss=i"

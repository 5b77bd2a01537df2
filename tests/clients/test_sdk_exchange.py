"""Requests of the SDKs to a server that fails: what is sent again, what is raised, and where tokens go."""

from __future__ import annotations

from typing import Any

import pytest

from tests.clients.failing_server import Answer, FailingServer
from tests.clients.sdk_callers import Call, Caller

OK: Answer = (200, {}, {"id": 1})
NOW = {"Retry-After": "0"}
REFUSED: Answer = (401, {"WWW-Authenticate": 'Bearer error="invalid_token"'}, {"detail": "Token has expired."})


@pytest.mark.parametrize(
    ("method", "first", "again"),
    [
        ("GET", None, True),
        ("get", None, True),
        ("PUT", None, True),
        ("POST", None, False),
        ("PATCH", None, False),
        ("DELETE", None, False),
        ("GET", (503, NOW, {"detail": "d"}), True),
        ("PUT", (502, {}, None), True),
        ("POST", (503, NOW, {"detail": "d"}), False),
        ("DELETE", (503, NOW, {"detail": "d"}), False),
        ("POST", (429, NOW, {"detail": "d"}), True),
        ("GET", (500, NOW, {"detail": "d"}), False),
        ("GET", (503, {"Retry-After": "3600"}, {"detail": "d"}), False),
        ("GET", (429, {"Retry-After": "9" * 400}, {"detail": "d"}), False),
        ("GET", (404, NOW, {"detail": "d"}), False),
        ("GET", (401, NOW, {"detail": "d"}), False),
    ],
)
def test_a_request_is_sent_again_only_where_that_is_safe(
    failing: FailingServer, griddy: Caller, method: str, first: Answer | None, again: bool
) -> None:
    failing.follow([first, OK])
    result = griddy(Call(failing.url, method))
    assert (result.value, bool(result.error)) == (({"id": 1}, False) if again else (None, True))
    assert [request[0] for request in failing.requests] == [method.upper()] * (1 + again)


def test_a_request_that_was_never_sent_is_sent_again(failing: FailingServer, griddy: Caller) -> None:
    with FailingServer() as stopped:
        url = stopped.url
    result = griddy(Call(url, "POST", tokens="ab", retries=2))
    assert (result.error, result.tokens) == ("ConnectionFailed", 3)


def test_the_number_of_attempts_is_limited(failing: FailingServer, griddy: Caller) -> None:
    failing.follow([(503, NOW, {"detail": "d"})])
    assert griddy(Call(failing.url, retries=1)).error == "Unavailable"
    assert len(failing.requests) == 2
    failing.follow([None])
    assert griddy(Call(failing.url, retries=0)).error == "ConnectionFailed"
    assert len(failing.requests) == 1


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (302, "RefusedRequest"),
        (400, "BadRequest"),
        (401, "Unauthenticated"),
        (403, "Forbidden"),
        (404, "NotFound"),
        (405, "RefusedRequest"),
        (409, "Conflict"),
        (413, "BadRequest"),
        (415, "BadRequest"),
        (422, "BadRequest"),
        (429, "TooManyRequests"),
        (500, "ServerError"),
        (502, "ServerError"),
        (503, "Unavailable"),
    ],
)
def test_each_status_is_an_error(failing: FailingServer, griddy: Caller, status: int, kind: str) -> None:
    failing.follow([(status, {"Retry-After": "3600"}, {"detail": "No."})])
    result = griddy(Call(failing.url, "POST"))
    assert (result.error, result.message) == (kind, f"{status}: No.")
    assert (result["status"], result["detail"], result["request_id"]) == (status, "No.", "r1")


CHALLENGE = 'Bearer error="insufficient_scope", error_description="Token is missing.", scope="catalog:write keys:read"'


@pytest.mark.parametrize(
    ("answer", "field", "value"),
    [
        ((403, {"WWW-Authenticate": CHALLENGE}, {"detail": "d"}), "missing", ["catalog:write", "keys:read"]),
        ((403, {}, {"detail": "d"}), "missing", []),
        ((429, {"Retry-After": "31"}, {"detail": "d"}), "retry_after", 31),
        ((429, {}, {"detail": "d"}), "retry_after", None),
        ((429, {"Retry-After": "9" * 400}, {"detail": "d"}), "retry_after", 86_400),
        ((503, {"Retry-After": "5"}, {"detail": "d"}), "retry_after", 5),
        ((400, {}, {"detail": "d", "errors": [{"field": "a", "message": "b"}]}), "errors", {"a": "b"}),
        ((400, {}, {"detail": "d", "errors": [{"field": "__proto__", "message": "b"}]}), "errors", {"__proto__": "b"}),
        ((400, {}, {"detail": "d", "errors": "text"}), "errors", {}),
        ((400, {}, {"detail": "d", "errors": [1, None, {"field": 1, "message": "b"}, {"field": "a"}]}), "errors", {}),
        ((400, {}, b'{"detail": "d"'), "detail", "Bad Request"),
        ((400, {}, b'{"detail": "\xff"}'), "detail", "Bad Request"),
        ((400, {}, {"detail": {"nested": 1}}), "detail", "Bad Request"),
        ((400, {}, {"error_description": "e"}), "detail", "e"),
        ((400, {}, {"detail": "a\n2026 INFO forged\x1b[2J\x85b"}), "detail", "a 2026 INFO forged [2J b"),
        ((400, {}, {"detail": "a\u202etxt.exe\u2066b\ud83d c \U0001f600"}), "detail", "a txt.exe b  c \U0001f600"),
        ((400, {}, {"detail": "x" * 100_000}), "detail", "x" * 1000),
        ((500, {}, ["not", "an", "object"]), "detail", "Internal Server Error"),
        ((500, {}, b"[" * 200_000), "detail", "Internal Server Error"),
    ],
)
def test_an_error_says_what_to_do(
    failing: FailingServer, griddy: Caller, answer: Answer, field: str, value: Any
) -> None:
    failing.follow([answer])
    assert griddy(Call(failing.url, retries=0))[field] == value


def test_a_function_returns_the_token_of_each_attempt(failing: FailingServer, griddy: Caller) -> None:
    failing.follow([(503, NOW, {"detail": "d"}), (503, NOW, {"detail": "d"}), OK])
    griddy(Call(failing.url, tokens="abc"))
    assert [sent for _, _, sent in failing.requests] == ["Bearer a", "Bearer b", "Bearer c"]


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_function_is_called_again_once_after_its_token_was_refused(
    failing: FailingServer, griddy: Caller, method: str
) -> None:
    failing.follow([REFUSED, OK])
    assert griddy(Call(failing.url, method, tokens="ab", retries=0)).value == {"id": 1}
    failing.follow([REFUSED, (429, NOW, None), REFUSED, OK])
    assert griddy(Call(failing.url, method, tokens="abcd")).error == "Unauthenticated"
    assert [sent for _, _, sent in failing.requests] == ["Bearer a", "Bearer b", "Bearer c"]


@pytest.mark.parametrize(
    ("tokens", "challenge"),
    [
        ("a", 'Bearer error="invalid_token"'),
        ("aa", 'Bearer error="invalid_token"'),
        ("ab", "Bearer"),
        ("ab", 'Bearer error="insufficient_scope"'),
        ("ab", 'Basic error="invalid_token"'),
    ],
)
def test_a_token_is_not_sent_again_if_that_cannot_help(
    failing: FailingServer, griddy: Caller, tokens: str, challenge: str
) -> None:
    failing.follow([(401, {"WWW-Authenticate": challenge}, {"detail": "d"}), OK])
    assert griddy(Call(failing.url, tokens=tokens)).error == "Unauthenticated"
    assert len(failing.requests) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(failing: FailingServer, griddy: Caller, status: int) -> None:
    with FailingServer() as other:
        other.follow([OK])
        for location in (f"{other.url}/x", f"{failing.url}/elsewhere"):
            failing.follow([(status, {"Location": location}, None), OK])
            refused = griddy(Call(failing.url))
            assert (refused["status"], refused["detail"]) == (status, "the address of the API redirects")
            assert len(failing.requests) == 1
        assert other.requests == []

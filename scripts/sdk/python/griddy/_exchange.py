"""A request with its retries, without input or output: both clients drive it.

A request is sent again only where that cannot do something twice: if no connection was made, after a 429, which is sent
before any work, or if its method only reads or replaces.
"""

from __future__ import annotations

import random
import time
from collections.abc import Generator
from dataclasses import dataclass

import httpx

from ._errors import ConnectionFailed, UnexpectedResponse, error_of, retry_after
from ._headers import bearer_challenge

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TEMPORARY = frozenset({502, 503, 504})
_LARGEST_BODY = 64 * 1024 * 1024
# With these a part of a body grows a thousandfold at most. httpx also reads denser ones, and one within another.
_ENCODINGS = ("gzip", "deflate", "identity")
ACCEPTED_ENCODINGS = "gzip, deflate"

LATE = "the response was not complete in time"

Outcome = httpx.Response | httpx.RequestError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` further attempts, as long as no wait is longer than `longest_wait` seconds.

    `first_wait` is the wait before the first of them if the API states none; it doubles with each.
    """

    retries: int = 3
    first_wait: float = 0.5
    longest_wait: float = 30.0


def exchange(method: str, policy: RetryPolicy, base: httpx.URL) -> Generator[float, Outcome, httpx.Response]:
    """Yields the seconds to wait before each attempt, and is sent its outcome. Returns a response that is a success.

    Raises RefusedRequest, and ConnectionFailed, which names the address `base`.
    """
    outcome = yield 0.0
    for attempt in range(policy.retries):
        wait = _wait(method, outcome, attempt, policy)
        if wait is None:
            break
        outcome = yield wait
    if not isinstance(outcome, httpx.Response):
        where = str(base).rstrip("/")
        raise ConnectionFailed(f"{where}: {str(outcome) or type(outcome).__name__}") from outcome
    if not outcome.is_success:
        raise error_of(outcome)
    return outcome


def checked_method(method: str) -> str:
    """A method in upper case. Raises ValueError for one that the API does not know."""
    if method.upper() not in _METHODS:
        raise ValueError(f"a method is one of {', '.join(_METHODS)}: {method}")
    return method.upper()


def is_refused_token(outcome: Outcome) -> bool:
    """Whether the API refused the token, so that another one may help."""
    if not isinstance(outcome, httpx.Response) or outcome.status_code != 401:
        return False
    return bearer_challenge(outcome.headers.get("www-authenticate", "")).get("error") == "invalid_token"


class BodyReader:
    """Collects the body of a response, as long as it is not too long and comes in time.

    Raises UnexpectedResponse for an encoding that was not asked for.
    """

    def __init__(self, response: httpx.Response, deadline: float) -> None:
        self._response = response
        self._deadline = deadline
        self._chunks: list[bytes] = []
        self._size = 0
        if response.headers.get("content-encoding", "identity").lower() not in _ENCODINGS:
            raise UnexpectedResponse(self._copy(b""), "the encoding of its body was not asked for")

    def add(self, chunk: bytes) -> None:
        """Raises UnexpectedResponse, and httpx.ReadTimeout after the deadline of `time.monotonic`."""
        self._chunks.append(chunk)
        self._size += len(chunk)
        if self._size > _LARGEST_BODY:
            raise UnexpectedResponse(self._copy(b""), f"its body has more than {_LARGEST_BODY} bytes")
        if time.monotonic() > self._deadline:
            raise httpx.ReadTimeout(LATE)

    def response(self) -> httpx.Response:
        """The response with the body, which is no longer encoded, and its request without the token."""
        return self._copy(b"".join(self._chunks))

    def _copy(self, body: bytes) -> httpx.Response:
        found = self._response
        return httpx.Response(
            found.status_code,
            headers=[(name, value) for name, value in found.headers.raw if name.lower() != b"content-encoding"],
            content=body,
            request=httpx.Request(found.request.method, found.request.url),
            extensions=found.extensions,
        )


def _wait(method: str, outcome: Outcome, attempt: int, policy: RetryPolicy) -> float | None:
    """The seconds until the next attempt; None if there must not be one."""
    stated = retry_after(outcome) or 0.0 if isinstance(outcome, httpx.Response) else 0.0
    backoff: float = policy.first_wait * 2**attempt
    if max(stated, backoff) > policy.longest_wait or not _may_repeat(method, outcome):
        return None
    # With some chance in it, so that callers that failed together do not return together; never before what is stated.
    return max(stated * random.uniform(1.0, 1.1), backoff * random.uniform(0.5, 1.0))


def _may_repeat(method: str, outcome: Outcome) -> bool:
    if not isinstance(outcome, httpx.Response):
        return method in _REPEATABLE or isinstance(outcome, _NEVER_SENT)
    return outcome.status_code == 429 or (outcome.status_code in _TEMPORARY and method in _REPEATABLE)

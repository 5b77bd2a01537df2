"""A request with its retries, without input or output: both clients drive it.

A request is sent again only where that cannot do something twice: if no connection was made, after a 429, which is sent
before any work, or if its method only reads or replaces.
"""

from __future__ import annotations

import random
from collections.abc import Generator
from dataclasses import dataclass

import httpx

from ._errors import ConnectionFailed, error_of, retry_after

_REPEATABLE = frozenset({"GET", "HEAD", "PUT"})
_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_TEMPORARY = frozenset({502, 503, 504})
_FIRST_SECONDS = 0.5

Outcome = httpx.Response | httpx.RequestError


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """At most `retries` further attempts, each after a wait of at most `longest_wait` seconds."""

    retries: int = 3
    longest_wait: float = 30.0


def exchange(method: str, policy: RetryPolicy) -> Generator[float, Outcome, httpx.Response]:
    """Yields the seconds to wait before each attempt, and is sent its outcome. Returns a response that is a success.

    Raises RefusedRequest and ConnectionFailed.
    """
    outcome = yield 0.0
    for attempt in range(policy.retries):
        wait = _wait(method, outcome, attempt)
        if wait is None or wait > policy.longest_wait:
            break
        outcome = yield wait
    if isinstance(outcome, httpx.RequestError):
        raise ConnectionFailed(str(outcome) or type(outcome).__name__) from outcome
    if not outcome.is_success:
        raise error_of(outcome)
    return outcome


def _wait(method: str, outcome: Outcome, attempt: int) -> float | None:
    """The seconds until the next attempt; None if there must not be one."""
    backoff: float = _FIRST_SECONDS * 2**attempt * random.uniform(0.5, 1.0)
    if isinstance(outcome, httpx.RequestError):
        is_lost = isinstance(outcome, httpx.TransportError)
        return backoff if (is_lost and method in _REPEATABLE) or isinstance(outcome, _NEVER_SENT) else None
    if outcome.status_code == 429 or (outcome.status_code in _TEMPORARY and method in _REPEATABLE):
        return max(retry_after(outcome) or 0.0, backoff)
    return None

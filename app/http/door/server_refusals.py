"""Refusals by the server of the process, before the application has a request: counted by reason, and logged."""

from __future__ import annotations

from collections import Counter

import structlog

LATE_HEAD = "late_head"
LATE_BODY = "late_body"
LONG_TARGET = "long_target"
LARGE_HEAD = "large_head"
MALFORMED = "malformed"
SMALL_CHUNKS = "small_chunks"
SMALL_CHUNKS_DETAIL = "The request body was sent in too many small chunks."
NO_DESCRIPTORS = "no_descriptors"
# Global, because the server does not know the application. Connections beyond a budget are in BUDGET_REFUSALS.
SERVER_REFUSALS: Counter[str] = Counter(
    dict.fromkeys((LATE_HEAD, LATE_BODY, LONG_TARGET, LARGE_HEAD, MALFORMED, SMALL_CHUNKS, NO_DESCRIPTORS), 0)
)
NO_ANSWER = 0
_log = structlog.stdlib.get_logger("server")  # which leaves out the lines of a flood, by client and status


def note_refusal(reason: str, status: int, client: str | None) -> None:
    """Count a refused request and log it, without anything that it contained; the status is NO_ANSWER for none."""
    SERVER_REFUSALS[reason] += 1
    # An int: the text of an HTTPStatus is not its number in the log of `authz dev`.
    _log.info("a request was refused by the server", reason=reason, status=int(status), client=client)

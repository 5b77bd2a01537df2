"""The answers of a uvicorn server to requests that it refuses itself, and their reasons."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from app.http.door.server_refusals import LARGE_HEAD, LONG_TARGET, MALFORMED, SMALL_CHUNKS, SMALL_CHUNKS_DETAIL

STATUSES = {
    MALFORMED: HTTPStatus.BAD_REQUEST,
    SMALL_CHUNKS: HTTPStatus.BAD_REQUEST,
    LONG_TARGET: HTTPStatus.REQUEST_URI_TOO_LONG,
    LARGE_HEAD: HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE,
}
_DETAILS = {MALFORMED: "Invalid HTTP request.", SMALL_CHUNKS: SMALL_CHUNKS_DETAIL}
# Without uvicorn's warning of each malformed request, which does not name the client.
ERRORS = logging.getLogger("uvicorn.error.requests")
ERRORS.setLevel(logging.ERROR)
_RETRY_SECONDS = 10


def detail_of(reason: str) -> str:
    """The text of the answer."""
    return _DETAILS.get(reason) or f"{STATUSES[reason].phrase}."


def answer(status: HTTPStatus, detail: str) -> bytes:
    """An answer after which the connection ends."""
    body = json.dumps({"detail": detail}, separators=(",", ":")).encode()
    lines = [
        f"HTTP/1.1 {status.value} {status.phrase}",
        "content-type: application/json",
        "cache-control: no-store",
        f"content-length: {len(body)}",
        "connection: close",
        *([f"retry-after: {_RETRY_SECONDS}"] if status is HTTPStatus.TOO_MANY_REQUESTS else []),
    ]
    return "\r\n".join((*lines, "", "")).encode() + body

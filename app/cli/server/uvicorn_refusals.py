"""The answers of a uvicorn server to requests that it refuses itself, and their reasons."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from app.http.door.server_refusals import LARGE_HEAD, LONG_TARGET, MALFORMED

REASONS = {
    HTTPStatus.BAD_REQUEST: MALFORMED,
    HTTPStatus.REQUEST_URI_TOO_LONG: LONG_TARGET,
    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE: LARGE_HEAD,
}
# Without uvicorn's warning of each malformed request, which does not name the client.
ERRORS = logging.getLogger("uvicorn.error.requests")
ERRORS.setLevel(logging.ERROR)
_RETRY_SECONDS = 10


def detail_of(status: HTTPStatus) -> str:
    """The text of the answer."""
    phrase = status.phrase if status != HTTPStatus.BAD_REQUEST else "Invalid HTTP request"
    return f"{phrase.capitalize() if phrase.isupper() else phrase}."


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

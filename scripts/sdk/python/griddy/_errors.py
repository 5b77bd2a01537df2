"""What the API refuses, as exceptions: catch the one that the caller can do something about."""

from __future__ import annotations

import re
from typing import Any

import httpx

_SCOPE = re.compile(r'\bscope="([^"]*)"')
_SECONDS = re.compile(r"[0-9]{1,9}")
_INSUFFICIENT = 'error="insufficient_scope"'


class GriddyError(Exception):
    """A request failed."""


class ConnectionFailed(GriddyError):
    """The API could not be reached, or the connection ended before its response could be read."""


class UnexpectedResponse(GriddyError):
    """A response is a success, and not one of the API: something else answers at its address."""

    def __init__(self, response: httpx.Response, reason: str) -> None:
        self.status = response.status_code
        self.request_id = response.headers.get("x-request-id")
        self.response = response
        super().__init__(f"{self.status}: the response is not one of the API: {reason}")


class RefusedRequest(GriddyError):
    """The API refused a request with a status and a detail. `request_id` finds it in the log of the server."""

    def __init__(self, response: httpx.Response) -> None:
        body = _body(response)
        self.status = response.status_code
        self.detail = str(body.get("detail") or body.get("error_description") or response.reason_phrase)
        self.request_id = response.headers.get("x-request-id")
        self.response = response
        super().__init__(f"{self.status}: {self.detail}")


class BadRequest(RefusedRequest):
    """400, 413, 415 or 422: the request is invalid. `errors` are messages by field."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        errors = _body(response).get("errors")
        listed = [each for each in errors if isinstance(each, dict)] if isinstance(errors, list) else []
        self.errors = {str(each.get("field", "")): str(each.get("message", "")) for each in listed}


class Unauthenticated(RefusedRequest):
    """401: fix your token or key."""


class Forbidden(RefusedRequest):
    """403: ask for more scope. `missing` are the permissions that would have been necessary, if they are known."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        challenge = response.headers.get("www-authenticate", "")
        match = _SCOPE.search(challenge) if _INSUFFICIENT in challenge else None
        self.missing = tuple(match[1].split()) if match else ()


class NotFound(RefusedRequest):
    """404: there is no such thing, or it belongs to another caller."""


class Conflict(RefusedRequest):
    """409: the request contradicts what is stored."""


class TooManyRequests(RefusedRequest):
    """429: wait `retry_after` seconds."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        self.retry_after = retry_after(response)


class ServerError(RefusedRequest):
    """500 and above: report it with the `request_id`."""


class Unavailable(ServerError):
    """503: the API cannot serve the request now. Wait `retry_after` seconds, if it says so."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        self.retry_after = retry_after(response)


_TYPES: dict[int, type[RefusedRequest]] = {
    400: BadRequest,
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
    429: TooManyRequests,
    503: Unavailable,
}


def error_of(response: httpx.Response) -> RefusedRequest:
    """The exception for a response that is no success."""
    default = ServerError if response.status_code >= 500 else RefusedRequest
    return _TYPES.get(response.status_code, default)(response)


def retry_after(response: httpx.Response) -> float | None:
    """The seconds to wait, as the API writes them; None if it does not."""
    text = response.headers.get("retry-after", "")
    return float(text) if _SECONDS.fullmatch(text) else None


def content_of(response: httpx.Response) -> Any:
    """The JSON of a response. Raises UnexpectedResponse."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise UnexpectedResponse(response, "it is not JSON") from None


def _body(response: httpx.Response) -> dict[str, Any]:
    try:
        body = content_of(response)
    except UnexpectedResponse:
        return {}
    return body if isinstance(body, dict) else {}

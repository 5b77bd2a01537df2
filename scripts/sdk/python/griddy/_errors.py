"""What the API refuses, as exceptions: catch the one that the caller can do something about."""

from __future__ import annotations

import re
from typing import Any

import httpx

from ._headers import missing_scopes, seconds_of

_DETAIL_LENGTH = 1000
# Also halves of characters, with which Python cannot print a text, and changes of the direction of text.
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


class GriddyError(Exception):
    """A request failed."""


class ConnectionFailed(GriddyError):
    """The API could not be reached, or the connection ended before its response, or there was none in time."""


class UnexpectedResponse(GriddyError):
    """A response is not one of the API: something else answers at its address."""

    def __init__(self, response: httpx.Response, reason: str) -> None:
        self.status = response.status_code
        self.request_id = response.headers.get("x-request-id")
        self.response = response
        super().__init__(f"{self.status}: the response is not one of the API: {reason}")


class RefusedRequest(GriddyError):
    """The API refused a request with a status and a detail. `request_id` finds it in the log of the server."""

    def __init__(self, response: httpx.Response) -> None:
        body = _object(response)
        self.status = response.status_code
        reason = "the address of the API redirects" if 300 <= self.status < 400 else response.reason_phrase
        self.detail = _line(body.get("detail"), body.get("error_description"), reason)
        self.request_id = response.headers.get("x-request-id")
        self.response = response
        super().__init__(f"{self.status}: {self.detail}")


class BadRequest(RefusedRequest):
    """400, 413, 415 or 422: the request is invalid. `errors` are messages by field."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        errors = _object(response).get("errors")
        self.errors = (
            {error["field"]: error["message"] for error in errors if _is_field_error(error)}
            if isinstance(errors, list)
            else {}
        )


class Unauthenticated(RefusedRequest):
    """401: fix your token or key."""


class Forbidden(RefusedRequest):
    """403: ask for more scope. `missing` are the permissions that would have been necessary, if they are known."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(response)
        self.missing = missing_scopes(response.headers.get("www-authenticate", ""))


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
    """The seconds to wait, at most a day; None if the API states none."""
    return seconds_of(response.headers.get("retry-after", ""))


def json_of(response: httpx.Response) -> Any:
    """The body of a response. Raises UnexpectedResponse if it is no JSON."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        raise UnexpectedResponse(response, "it is not JSON") from None


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        body = json_of(response)
    except UnexpectedResponse:
        return {}
    return body if isinstance(body, dict) else {}


def _is_field_error(value: object) -> bool:
    return isinstance(value, dict) and isinstance(value.get("field"), str) and isinstance(value.get("message"), str)


def _line(*texts: object) -> str:
    """The first text that is not empty, as one line: it is shown in terminals and logs."""
    text = next((text for text in texts if isinstance(text, str) and text), "no detail")
    return _CONTROLS.sub(" ", text[:_DETAIL_LENGTH])

"""Errors of the authorization server, with the codes of RFC 6749 and its extensions."""

from __future__ import annotations

from typing import Literal

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
    "invalid_target",
    "access_denied",
    "request_not_supported",
    "invalid_request_uri",
    "temporarily_unavailable",
    "invalid_redirect_uri",
    "invalid_client_metadata",
    "server_error",
]


class OAuthError(Exception):
    """A refusal: `code` for the program, `description` for its developer. Neither contains anything that was sent."""

    def __init__(self, code: ErrorCode, description: str, *, retry_after: int | None = None) -> None:
        super().__init__(description)
        self.code = code
        self.description = description
        self.retry_after = retry_after  # seconds; None unless a limit was reached


class BadClientSecret(OAuthError):
    """An app that did not authenticate. With `basic` it tried to with the `Authorization` header."""

    def __init__(self, description: str, *, basic: bool) -> None:
        super().__init__("invalid_client", description)
        self.basic = basic

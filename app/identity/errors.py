"""What a caller must mend before it can be known. Every text is part of the wire contract."""

from __future__ import annotations

from enum import StrEnum


class Fault(StrEnum):
    """The public `detail` of each way in which authentication fails."""

    NOT_PROVIDED = "Authentication credentials were not provided."
    NO_CREDENTIALS = "Invalid Authorization header: no credentials provided."
    SPACES = "Invalid Authorization header: token must not contain spaces."
    SENT_TWICE = "Invalid Authorization header: sent more than once."
    EXPIRED = "Token has expired."
    AUDIENCE = "Invalid audience."
    ISSUER = "Invalid issuer."
    SIGNATURE = "Invalid signature."
    ALGORITHM = "Invalid signing algorithm."
    AUTHORIZED_PARTY = "Invalid authorized party."
    TOKEN = "Invalid token."  # noqa: S105  # a message, no password
    KEY_MALFORMED = "Malformed API key."
    KEY_REVOKED = "API key has been revoked."
    KEY_EXPIRED = "API key has expired."
    KEY_UNKNOWN = "Invalid API key."


# RFC 6750 section 3.1: a malformed request is no verdict on a token.
HEADER_FAULTS = frozenset({Fault.NO_CREDENTIALS, Fault.SPACES, Fault.SENT_TWICE})


class Unauthenticated(Exception):
    """The credentials are bad: a 401 whose detail is `fault`. It never holds any part of a token."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.value)
        self.fault = fault


class CannotVerify(Exception):
    """Nobody can tell now whether the credentials are good: a 503.

    `detail` is public; `retry_after` is in whole seconds.
    """

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

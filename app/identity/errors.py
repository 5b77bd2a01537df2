"""Errors of authentication. The texts of `AuthenticationFault` are part of the wire contract."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Self


class AuthenticationFault(StrEnum):
    """The public `detail` of a failed authentication."""

    NOT_PROVIDED = "Authentication credentials were not provided."
    NO_CREDENTIALS = "Invalid Authorization header: no credentials provided."
    SPACES = "Invalid Authorization header: token must not contain spaces."
    SENT_TWICE = "Invalid Authorization header: sent more than once."
    EXPIRED = "Token has expired."
    NOT_VALID_YET = "Token is not valid yet."
    AUDIENCE = "Invalid audience."
    ISSUER = "Invalid issuer."
    SIGNATURE = "Invalid signature."
    ALGORITHM = "Invalid signing algorithm."
    AUTHORIZED_PARTY = "Invalid authorized party."
    TOKEN = "Invalid token."  # noqa: S105  # a message, not a password
    TOKEN_REVOKED = "Token has been revoked."  # noqa: S105  # as above
    KEY_MALFORMED = "Malformed API key."
    KEY_REVOKED = "API key has been revoked."
    KEY_EXPIRED = "API key has expired."
    KEY_UNKNOWN = "Invalid API key."


# RFC 6750 section 3.1: these are `invalid_request`, not `invalid_token`.
HEADER_FAULTS = frozenset(
    {AuthenticationFault.NO_CREDENTIALS, AuthenticationFault.SPACES, AuthenticationFault.SENT_TWICE}
)


class Cause(StrEnum):
    """The exact cause of a fault that has several: for the log and the metrics, not for callers."""

    fault: AuthenticationFault

    def __new__(cls, word: str, fault: AuthenticationFault) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.fault = fault
        return member

    # The form of the token.
    TOO_LONG = "too_long", AuthenticationFault.TOKEN
    NOT_ASCII = "not_ascii", AuthenticationFault.TOKEN
    OPAQUE = "opaque", AuthenticationFault.TOKEN
    OTHER_PREFIX = "other_prefix", AuthenticationFault.TOKEN
    ENCRYPTED = "encrypted", AuthenticationFault.TOKEN
    MALFORMED_HEADER = "malformed_header", AuthenticationFault.TOKEN
    MALFORMED_KID = "malformed_kid", AuthenticationFault.TOKEN
    MALFORMED_BASE64 = "malformed_base64", AuthenticationFault.TOKEN
    MALFORMED_CLAIMS = "malformed_claims", AuthenticationFault.TOKEN
    CRIT = "crit", AuthenticationFault.TOKEN
    TOKEN_TYPE = "token_type", AuthenticationFault.TOKEN
    # The signing key.
    UNKNOWN_KID = "unknown_kid", AuthenticationFault.SIGNATURE
    MISSING_KID = "missing_kid", AuthenticationFault.SIGNATURE
    # The claims.
    MISSING_ISS = "missing_iss", AuthenticationFault.TOKEN
    MISSING_EXP = "missing_exp", AuthenticationFault.TOKEN
    MISSING_SUB = "missing_sub", AuthenticationFault.TOKEN
    MISSING_AUD = "missing_aud", AuthenticationFault.AUDIENCE
    MALFORMED_AUD = "malformed_aud", AuthenticationFault.AUDIENCE
    UNEXPECTED_AUD = "unexpected_aud", AuthenticationFault.AUDIENCE
    MISSING_AZP = "missing_azp", AuthenticationFault.AUTHORIZED_PARTY
    SUB_NOT_A_STRING = "sub_not_a_string", AuthenticationFault.TOKEN
    EMPTY_SUB = "empty_sub", AuthenticationFault.TOKEN
    MALFORMED_SUB = "malformed_sub", AuthenticationFault.TOKEN
    RESERVED_SUB = "reserved_sub", AuthenticationFault.TOKEN
    MALFORMED_JTI = "malformed_jti", AuthenticationFault.TOKEN
    MALFORMED_EXP = "malformed_exp", AuthenticationFault.TOKEN
    MALFORMED_NBF = "malformed_nbf", AuthenticationFault.TOKEN
    MALFORMED_IAT = "malformed_iat", AuthenticationFault.TOKEN
    EXP_IN_MILLISECONDS = "exp_in_milliseconds", AuthenticationFault.TOKEN
    NBF_IN_MILLISECONDS = "nbf_in_milliseconds", AuthenticationFault.TOKEN
    IAT_IN_MILLISECONDS = "iat_in_milliseconds", AuthenticationFault.TOKEN
    MALFORMED_CLIENT_ID = "malformed_client_id", AuthenticationFault.TOKEN
    MALFORMED_ORGANIZATION = "malformed_organization", AuthenticationFault.TOKEN
    SENDER_CONSTRAINED = "sender_constrained", AuthenticationFault.TOKEN
    SECURITY_EVENT = "security_event", AuthenticationFault.TOKEN
    STS_NOT_ACTIVE = "sts_not_active", AuthenticationFault.TOKEN
    # The token of a third-party app.
    MALFORMED_APP_TOKEN = "malformed_app_token", AuthenticationFault.TOKEN
    NO_ACCESS_TOKEN = "no_access_token", AuthenticationFault.TOKEN
    UNKNOWN_APP_TOKEN = "unknown_app_token", AuthenticationFault.TOKEN
    INVALID_APP = "invalid_app", AuthenticationFault.TOKEN
    ANOTHER_RESOURCE = "another_resource", AuthenticationFault.AUDIENCE


class Unauthenticated(Exception):
    """The credentials are invalid: a 401 whose detail is `fault`. It never contains any part of a token.

    `code` names the cause, or the fault if it has only one, as in metrics; `reason` is the detail with the cause, for
    the log.
    """

    def __init__(self, cause: AuthenticationFault | Cause) -> None:
        if isinstance(cause, Cause):
            self.fault, self.code = cause.fault, cause.value
            self.reason = f"{self.fault.value} ({self.code})"
        else:
            self.fault, self.code = cause, cause.name.lower()
            self.reason = cause.value
        super().__init__(self.reason)


# The code of each reason.
REASON_CODES: Mapping[str, str] = MappingProxyType(
    {error.reason: error.code for error in map(Unauthenticated, (*AuthenticationFault, *Cause))}
)


class CannotVerify(Exception):
    """The credentials cannot be verified now: a 503. `detail` is public, `retry_after` is in seconds."""

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

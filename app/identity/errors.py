"""What a caller must fix before it can be known. Every text is part of the wire contract."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Self


class AuthenticationFault(StrEnum):
    """The public `detail` of each way in which authentication fails."""

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
    TOKEN = "Invalid token."  # noqa: S105  # a message, no password
    KEY_MALFORMED = "Malformed API key."
    KEY_REVOKED = "API key has been revoked."
    KEY_EXPIRED = "API key has expired."
    KEY_UNKNOWN = "Invalid API key."


# RFC 6750 section 3.1: a malformed request is no verdict on a token.
HEADER_FAULTS = frozenset(
    {AuthenticationFault.NO_CREDENTIALS, AuthenticationFault.SPACES, AuthenticationFault.SENT_TWICE}
)


class Cause(StrEnum):
    """Why a token has a fault, where the fault alone does not say it: for the log and the metrics, not for callers."""

    fault: AuthenticationFault

    def __new__(cls, word: str, fault: AuthenticationFault) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.fault = fault
        return member

    # Of its form.
    TOO_LONG = "too_long", AuthenticationFault.TOKEN
    NOT_ASCII = "not_ascii", AuthenticationFault.TOKEN
    OPAQUE = "opaque", AuthenticationFault.TOKEN
    ENCRYPTED = "encrypted", AuthenticationFault.TOKEN
    MALFORMED_HEADER = "malformed_header", AuthenticationFault.TOKEN
    MALFORMED_KID = "malformed_kid", AuthenticationFault.TOKEN
    MALFORMED_BASE64 = "malformed_base64", AuthenticationFault.TOKEN
    MALFORMED_CLAIMS = "malformed_claims", AuthenticationFault.TOKEN
    CRIT = "crit", AuthenticationFault.TOKEN
    TOKEN_TYPE = "token_type", AuthenticationFault.TOKEN
    # Of its key.
    UNKNOWN_KID = "unknown_kid", AuthenticationFault.SIGNATURE
    MISSING_KID = "missing_kid", AuthenticationFault.SIGNATURE
    # Of its claims.
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
    MALFORMED_JTI = "malformed_jti", AuthenticationFault.TOKEN
    MALFORMED_EXP = "malformed_exp", AuthenticationFault.TOKEN
    MALFORMED_NBF = "malformed_nbf", AuthenticationFault.TOKEN
    MALFORMED_IAT = "malformed_iat", AuthenticationFault.TOKEN
    EXP_IN_MILLISECONDS = "exp_in_milliseconds", AuthenticationFault.TOKEN
    NBF_IN_MILLISECONDS = "nbf_in_milliseconds", AuthenticationFault.TOKEN
    IAT_IN_MILLISECONDS = "iat_in_milliseconds", AuthenticationFault.TOKEN
    SENDER_CONSTRAINED = "sender_constrained", AuthenticationFault.TOKEN
    SECURITY_EVENT = "security_event", AuthenticationFault.TOKEN
    STS_NOT_ACTIVE = "sts_not_active", AuthenticationFault.TOKEN


class Unauthenticated(Exception):
    """The credentials are bad: a 401 whose detail is `fault`. It never holds any part of a token.

    `word` names the cause, else the fault, as the metrics do; `reason` is the detail with the cause, for the log.
    """

    def __init__(self, why: AuthenticationFault | Cause) -> None:
        self.fault = why.fault if isinstance(why, Cause) else why
        self.word = why.value if isinstance(why, Cause) else why.name.lower()
        self.reason = f"{self.fault.value} ({self.word})" if isinstance(why, Cause) else self.fault.value
        super().__init__(self.reason)


# The word of each reason that there is.
WORDS: Mapping[str, str] = MappingProxyType(
    {bad.reason: bad.word for bad in map(Unauthenticated, (*AuthenticationFault, *Cause))}
)


class CannotVerify(Exception):
    """Whether the credentials are valid cannot be known now: a 503.

    `detail` is public; `retry_after` is in whole seconds.
    """

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

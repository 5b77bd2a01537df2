"""What a caller must mend before it can be known. Every text is part of the wire contract."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Self


class Fault(StrEnum):
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
HEADER_FAULTS = frozenset({Fault.NO_CREDENTIALS, Fault.SPACES, Fault.SENT_TWICE})


class Cause(StrEnum):
    """Why a token has a fault, where the fault alone does not say it: for the log and the metrics, not for callers."""

    fault: Fault

    def __new__(cls, word: str, fault: Fault) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.fault = fault
        return member

    # Of its form.
    TOO_LONG = "too_long", Fault.TOKEN
    NOT_ASCII = "not_ascii", Fault.TOKEN
    OPAQUE = "opaque", Fault.TOKEN
    ENCRYPTED = "encrypted", Fault.TOKEN
    MALFORMED_HEADER = "malformed_header", Fault.TOKEN
    MALFORMED_KID = "malformed_kid", Fault.TOKEN
    MALFORMED_BASE64 = "malformed_base64", Fault.TOKEN
    MALFORMED_CLAIMS = "malformed_claims", Fault.TOKEN
    CRIT = "crit", Fault.TOKEN
    TOKEN_TYPE = "token_type", Fault.TOKEN
    # Of its key.
    UNKNOWN_KID = "unknown_kid", Fault.SIGNATURE
    MISSING_KID = "missing_kid", Fault.SIGNATURE
    # Of its claims.
    MISSING_ISS = "missing_iss", Fault.TOKEN
    MISSING_EXP = "missing_exp", Fault.TOKEN
    MISSING_SUB = "missing_sub", Fault.TOKEN
    MISSING_AUD = "missing_aud", Fault.AUDIENCE
    MALFORMED_AUD = "malformed_aud", Fault.AUDIENCE
    UNEXPECTED_AUD = "unexpected_aud", Fault.AUDIENCE
    MISSING_AZP = "missing_azp", Fault.AUTHORIZED_PARTY
    SUB_NOT_A_STRING = "sub_not_a_string", Fault.TOKEN
    EMPTY_SUB = "empty_sub", Fault.TOKEN
    MALFORMED_SUB = "malformed_sub", Fault.TOKEN
    MALFORMED_JTI = "malformed_jti", Fault.TOKEN
    MALFORMED_EXP = "malformed_exp", Fault.TOKEN
    MALFORMED_NBF = "malformed_nbf", Fault.TOKEN
    MALFORMED_IAT = "malformed_iat", Fault.TOKEN
    EXP_IN_MILLISECONDS = "exp_in_milliseconds", Fault.TOKEN
    NBF_IN_MILLISECONDS = "nbf_in_milliseconds", Fault.TOKEN
    IAT_IN_MILLISECONDS = "iat_in_milliseconds", Fault.TOKEN
    SENDER_CONSTRAINED = "sender_constrained", Fault.TOKEN
    SECURITY_EVENT = "security_event", Fault.TOKEN
    STS_NOT_ACTIVE = "sts_not_active", Fault.TOKEN


class Unauthenticated(Exception):
    """The credentials are bad: a 401 whose detail is `fault`. It never holds any part of a token.

    `word` names the cause, else the fault, as the metrics do; `reason` is the detail with the cause, for the log.
    """

    def __init__(self, why: Fault | Cause) -> None:
        self.fault = why.fault if isinstance(why, Cause) else why
        self.word = why.value if isinstance(why, Cause) else why.name.lower()
        self.reason = f"{self.fault.value} ({self.word})" if isinstance(why, Cause) else self.fault.value
        super().__init__(self.reason)


# The word of each reason that there is.
WORDS: Mapping[str, str] = MappingProxyType({bad.reason: bad.word for bad in map(Unauthenticated, (*Fault, *Cause))})


class CannotVerify(Exception):
    """Nobody can tell now whether the credentials are good: a 503.

    `detail` is public; `retry_after` is in whole seconds.
    """

    def __init__(self, detail: str, retry_after: int) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after

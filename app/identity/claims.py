"""Validation of the claims of a token (RFC 7519 section 4.1).

PyJWT's own validation distinguishes fewer causes and truncates times to whole seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.org_facts import ORG

_LAST_SECOND = 253402300799  # the end of the year 9999: a later time is probably in milliseconds
_MAX_SUBJECT = 255  # OpenID Connect Core section 2
_TIMES = (
    ("exp", Cause.MALFORMED_EXP, Cause.EXP_IN_MILLISECONDS),
    ("nbf", Cause.MALFORMED_NBF, Cause.NBF_IN_MILLISECONDS),
    ("iat", Cause.MALFORMED_IAT, Cause.IAT_IN_MILLISECONDS),
)


class Validity(NamedTuple):
    """The half-open interval in which a token is accepted, leeway included: from `begins`, before `ends`."""

    begins: float
    ends: float


class ClaimRules:
    """The rules for the claims of one issuer's tokens.

    `audiences` are the names of this deployment, one of which must be in `aud`. If there are none, a token with an
    audience is refused, because it is for another service (RFC 7519 section 4.1.3). `authorized_parties` are the
    clients that may present a token; if there are none, `azp` is not read. `skew_seconds` is how far the issuer's clock
    may differ. `subject_prefix` is put before each subject; a subject must not begin with one of
    `reserved_prefixes`, since it would be that of another issuer, and without a prefix not with `org:`,
    like the owner of an organization's keys. `now` returns the time in seconds since 1970.
    """

    def __init__(
        self,
        issuer: str,
        audiences: tuple[str, ...],
        authorized_parties: tuple[str, ...] = (),
        *,
        skew_seconds: int = 0,
        subject_prefix: str = "",
        reserved_prefixes: tuple[str, ...] = (),
        now: Callable[[], float] = time.time,
    ) -> None:
        self._issuer = issuer
        self._audiences = frozenset(audiences)
        self._authorized_parties = frozenset(authorized_parties)
        self._skew = skew_seconds
        self._max_subject = _MAX_SUBJECT - len(subject_prefix)
        self._reserved_prefixes = reserved_prefixes if subject_prefix else (ORG, *reserved_prefixes)
        self._now = now

    def check(self, claims: Mapping[str, object]) -> Validity:
        """Validate claims, and return the interval in which they are valid. Raises Unauthenticated."""
        validity = self._validity(claims)
        self._check_subject(claims)
        _check_kind(claims)
        now = self._now()
        if now >= validity.ends:
            raise Unauthenticated(AuthenticationFault.EXPIRED)
        if now < validity.begins:
            raise Unauthenticated(AuthenticationFault.NOT_VALID_YET)
        issuer = claims.get("iss")
        if issuer is None:
            raise Unauthenticated(Cause.MISSING_ISS)
        if issuer != self._issuer:
            raise Unauthenticated(AuthenticationFault.ISSUER)
        self._check_audience(claims.get("aud"))
        if self._authorized_parties:
            party = claims.get("azp")
            if party is None:
                raise Unauthenticated(Cause.MISSING_AZP)
            if not isinstance(party, str) or party not in self._authorized_parties:
                raise Unauthenticated(AuthenticationFault.AUTHORIZED_PARTY)
        return validity

    def _validity(self, claims: Mapping[str, object]) -> Validity:
        if claims.get("exp") is None:
            raise Unauthenticated(Cause.MISSING_EXP)
        times = {"nbf": float("-inf")}
        for name, malformed, in_milliseconds in _TIMES:
            if name not in claims:
                continue
            value = claims[name]
            # Not isinstance: a bool is an int.
            if type(value) is not int and type(value) is not float:
                raise Unauthenticated(malformed)
            if not -_LAST_SECOND <= value <= _LAST_SECOND:
                plausible = _LAST_SECOND < value <= _LAST_SECOND * 1000
                raise Unauthenticated(in_milliseconds if plausible else malformed)
            times[name] = value
        return Validity(times["nbf"] - self._skew, times["exp"] + self._skew)

    def _check_subject(self, claims: Mapping[str, object]) -> None:
        subject = claims.get("sub")
        if subject is None:
            raise Unauthenticated(Cause.MISSING_SUB)
        if not isinstance(subject, str):
            raise Unauthenticated(Cause.SUB_NOT_A_STRING)
        if not subject:
            raise Unauthenticated(Cause.EMPTY_SUB)
        if len(subject) > self._max_subject or not subject.isprintable():
            raise Unauthenticated(Cause.MALFORMED_SUB)
        if subject.startswith(self._reserved_prefixes):
            raise Unauthenticated(Cause.RESERVED_SUB)
        token_id = claims.get("jti")
        if token_id is not None and not (isinstance(token_id, str) and token_id and token_id.isprintable()):
            raise Unauthenticated(Cause.MALFORMED_JTI)

    def _check_audience(self, claim: object) -> None:
        if not self._audiences:
            if claim not in (None, "", []):
                raise Unauthenticated(Cause.UNEXPECTED_AUD)
            return
        if claim is None:
            raise Unauthenticated(Cause.MISSING_AUD)
        audiences = [claim] if isinstance(claim, str) else claim
        if not isinstance(audiences, list) or not all(isinstance(audience, str) for audience in audiences):
            raise Unauthenticated(Cause.MALFORMED_AUD)
        if self._audiences.isdisjoint(audiences):
            raise Unauthenticated(AuthenticationFault.AUDIENCE)


def _check_kind(claims: Mapping[str, object]) -> None:
    """Refuse a token of the issuer that is not a bearer token of an active session."""
    if "cnf" in claims:  # RFC 7800: valid only with proof of possession of a key, which is not checked here
        raise Unauthenticated(Cause.SENDER_CONSTRAINED)
    if isinstance(claims.get("events"), dict):  # RFC 8417 section 2.2; a logout token may have no type
        raise Unauthenticated(Cause.SECURITY_EVENT)
    if claims.get("sts", "active") != "active":  # the status of a Clerk session
        raise Unauthenticated(Cause.STS_NOT_ACTIVE)

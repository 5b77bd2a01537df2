"""A JWT in its compact form (RFC 7515 section 3.1), read strictly: one token has one spelling and one meaning.

`cryptography` verifies the signature, PyJWT the registered claims. What they would let pass is refused here: padded
base64url, header extensions, JSON that is not UTF-8 or names a member twice, and claims of a wrong type.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from functools import lru_cache
from typing import Any

import jwt
import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from app.identity.errors import Fault, Unauthenticated

ALGORITHM = "RS256"  # RFC 7518 section 3.3
_PADDING, _HASH = PKCS1v15(), SHA256()
_LAST_SECOND = 253402300799  # of the year 9999: a later time is most often one in milliseconds
_MAX_SUBJECT = 255  # OpenID Connect Core section 2


def read_header(token: bytes) -> dict[str, Any]:
    """The header of a token that may be verified: RS256, no extension, `kid` absent or a string.

    It is shared and must not be changed. Raises Unauthenticated with Fault.TOKEN or Fault.ALGORITHM.
    """
    if token.count(b".") != 2:
        raise Unauthenticated(Fault.TOKEN)
    return _header(token[: token.index(b".")])


# Every token that one key signs has the same header.
@lru_cache(maxsize=64)
def _header(segment: bytes) -> dict[str, Any]:
    try:
        header = _read_object(_decode(segment))
    except _NO_OBJECT:
        header = None
    if header is None:
        raise Unauthenticated(Fault.TOKEN)
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(Fault.ALGORITHM)
    # No extension is understood (RFC 7515 section 4.1.11); b64 is not for JWTs (RFC 7797 section 7).
    if "crit" in header or "b64" in header or not isinstance(header.get("kid", ""), str):
        raise Unauthenticated(Fault.TOKEN)
    return header


# From base64url to base64; what only base64 or padding has becomes a character that neither has.
_BASE64 = bytes.maketrans(b"-_+/=", b"+/---")
# Where the last character stands for fewer than six bits, those that are left over are zero.
_LAST = (None, frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def _decode(segment: bytes) -> bytes:
    """Base64url, RFC 7515 section 2. Raises ValueError for every spelling but the canonical one."""
    last = _LAST[len(segment) % 4]
    if last is not None and segment[-1] not in last:
        raise ValueError
    return a2b_base64(segment.translate(_BASE64) + b"==="[: -len(segment) % 4], strict_mode=True)


def _read_object(text: bytes) -> dict[str, Any]:
    """A JSON object with unique members, which UTF-8 can hold. Raises what is in _NO_OBJECT."""
    value = msgspec.json.decode(text)
    if type(value) is not dict:
        raise ValueError
    if not _is_plain(value, text):
        json.loads(text, object_pairs_hook=_unique)
    return value


def _is_plain(value: dict[str, Any], text: bytes) -> bool:
    """Whether the text is exactly what the value is written as, as it is of most issuers: then no member is lost."""
    try:
        return msgspec.json.encode(value) == text
    except OverflowError:  # an integer of more than 64 bits
        return False


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


_NO_OBJECT = (msgspec.MsgspecError, ValueError, RecursionError)


class StrictJwt:
    """The check of a signature and, with every check on, PyJWT's of the registered claims, over the strict forms here.

    PyJWT's own way from a token to its claims takes a fourth of the time of the signature more. The keys of a key set
    are long enough for RS256.
    """

    def __init__(self, issuer: str, audience: str) -> None:
        self._issuer = issuer
        self._audience = audience
        self._rules = jwt.PyJWT({"require": ["iss", "aud", "exp", "sub"]})

    def claims_of(self, token: bytes, key: RSAPublicKey) -> dict[str, Any]:
        """The claims of a token whose header `read_header` has taken.

        Raises jwt.PyJWTError, or ValueError for a form that is not canonical, when it is not to be believed.
        """
        signed, _, signature = token.rpartition(b".")
        payload = _decode(signed.partition(b".")[2])
        try:
            key.verify(_decode(signature), signed, _PADDING, _HASH)
        except InvalidSignature:
            raise jwt.InvalidSignatureError from None
        try:
            claims = _read_object(payload)
        except _NO_OBJECT:
            raise jwt.DecodeError from None
        if not _well_typed(claims):
            raise jwt.DecodeError
        self._rules._validate_claims(claims, self._rules.options, audience=self._audience, issuer=self._issuer)
        return claims


def _well_typed(claims: dict[str, Any]) -> bool:
    """Whether the claims that are here have the types of RFC 7519; PyJWT takes "1" and true for times."""
    for name in ("exp", "nbf", "iat"):
        time = claims.get(name)
        if time is not None and (type(time) not in (int, float) or not -_LAST_SECOND <= time <= _LAST_SECOND):
            return False
    subject = claims.get("sub")
    if subject is not None and not (_is_identifier(subject) and len(subject) <= _MAX_SUBJECT):
        return False
    token_id = claims.get("jti")
    return token_id is None or _is_identifier(token_id)


def _is_identifier(value: object) -> bool:
    """A string that a log, a header and a table can show: not empty, without control characters."""
    return isinstance(value, str) and value != "" and value.isprintable()

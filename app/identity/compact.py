"""A JWT in its compact form (RFC 7515 section 3.1), read strictly: one token has one spelling and one meaning.

PyJWT verifies the signature and the registered claims. What it would let pass is refused here: padded
base64url, header extensions, JSON that is not UTF-8 or names a member twice, and claims of a wrong type.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from functools import lru_cache
from typing import Any, NoReturn

import jwt

from app.identity.errors import Fault, Unauthenticated

ALGORITHM = "RS256"
_LAST_SECOND = 253402300799  # of the year 9999: a later time is most often one in milliseconds
_MAX_SUBJECT = 255  # OpenID Connect Core section 2


def read_header(token: bytes) -> dict[str, Any]:
    """The header of a token that may be verified: RS256, no extension, `kid` absent or a string.

    It is shared and must not be changed. Raises Unauthenticated with Fault.TOKEN or Fault.ALGORITHM.
    """
    segments = token.split(b".", 3)
    if len(segments) != 3:
        raise Unauthenticated(Fault.TOKEN)
    return _header(segments[0])


# Every token that one key signs has the same header.
@lru_cache(maxsize=64)
def _header(segment: bytes) -> dict[str, Any]:
    try:
        header = _read_object(_decode(segment))
    except (ValueError, RecursionError):
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
    """A JSON object with unique members that UTF-8 can hold. Raises ValueError or RecursionError."""
    value = _DECODER.decode(text.decode("utf-8"))
    if not isinstance(value, dict):
        raise ValueError  # noqa: TRY004  # the callers take every fault of the text as one
    if b"\\u" in text:
        # An escape can make half of a surrogate pair, on which a log or a table would break later.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


def _no_json(_: str) -> NoReturn:
    raise ValueError


_DECODER = json.JSONDecoder(object_pairs_hook=_members, parse_constant=_no_json)


class _StrictJws(jwt.PyJWS):
    def _load(self, token: str | bytes) -> tuple[bytes, bytes, dict[str, Any], bytes]:
        """PyJWT's own looks at every character in Python, which takes longer than the signature does."""
        raw = token.encode("ascii") if isinstance(token, str) else token
        signed, _, signature = raw.rpartition(b".")
        header, _, payload = signed.partition(b".")
        try:
            return _decode(payload), signed, _header(header), _decode(signature)
        except ValueError:
            raise jwt.DecodeError from None


class StrictJwt(jwt.PyJWT):
    """PyJWT with every check on, over the strict forms of this module."""

    def __init__(self) -> None:
        super().__init__({"require": ["iss", "aud", "exp", "sub"], "enforce_minimum_key_length": True})
        self._jws = _StrictJws(options=self._get_sig_options())

    def _decode_payload(self, decoded: dict[str, Any]) -> dict[str, Any]:
        """The claims, once the signature is good and before PyJWT checks them."""
        try:
            claims = _read_object(decoded["payload"])
        except (ValueError, RecursionError):
            raise jwt.DecodeError from None
        if not _well_typed(claims):
            raise jwt.DecodeError
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

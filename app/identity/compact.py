"""A JWT in its compact form (RFC 7515 section 3.1), read strictly: one token has one spelling and one meaning.

`cryptography` verifies the signature. What libraries for JWTs let pass is refused here: padded base64url, header
extensions, JSON that is not UTF-8 or names a member twice.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated

ALGORITHM = "RS256"  # RFC 7518 section 3.3
_PADDING, _HASH = PKCS1v15(), SHA256()
_MEDIA_TYPE = "application/"


class Header(NamedTuple):
    """What a header says of its token. `kind` is its `typ` as a media type without `application/`, `jwt` if absent."""

    kid: str | None
    kind: str


def read_header(token: bytes) -> Header:
    """The header of a token that may be verified: RS256, no extension, `kid` absent or a string.

    Raises Unauthenticated with Fault.ALGORITHM, or the cause of a Fault.TOKEN.
    """
    dots = token.count(b".")
    if dots != 2:
        # RFC 7516 section 3.1: an encrypted token has five parts.
        raise Unauthenticated(Cause.ENCRYPTED if dots == 4 else Cause.OPAQUE)
    return _header(token[: token.index(b".")])


# Every token that one key signs has the same header.
@lru_cache(maxsize=64)
def _header(segment: bytes) -> Header:
    try:
        header = _read_object(_decode(segment))
    except _NO_OBJECT:
        header = None
    if header is None:
        raise Unauthenticated(Cause.MALFORMED_HEADER)
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(AuthenticationFault.ALGORITHM)
    # No extension is understood (RFC 7515 section 4.1.11); b64 is not for JWTs (RFC 7797 section 7).
    if "crit" in header or "b64" in header:
        raise Unauthenticated(Cause.CRIT)
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise Unauthenticated(Cause.MALFORMED_KID)
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str):
        raise Unauthenticated(Cause.TOKEN_TYPE)
    # RFC 7515 section 4.1.9: the prefix may be left out, and the case of a media type means nothing.
    return Header(kid, kind.lower().removeprefix(_MEDIA_TYPE))


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


def read_claims(token: bytes, keys: Iterable[RSAPublicKey]) -> dict[str, Any]:
    """The claims of a token whose header `read_header` has taken, signed by one of these keys.

    Raises Unauthenticated when it is not, or when its form is not canonical.
    """
    signed, _, encoded = token.rpartition(b".")
    try:
        payload, signature = _decode(signed.partition(b".")[2]), _decode(encoded)
    except ValueError:
        raise Unauthenticated(Cause.MALFORMED_BASE64) from None
    if not any(_is_signed(signed, signature, key) for key in keys):
        raise Unauthenticated(AuthenticationFault.SIGNATURE)
    try:
        return _read_object(payload)
    except _NO_OBJECT:
        # Not as the context of what is raised: the library's error quotes the input.
        pass
    raise Unauthenticated(Cause.MALFORMED_CLAIMS)


def _is_signed(signed: bytes, signature: bytes, key: RSAPublicKey) -> bool:
    try:
        key.verify(signature, signed, _PADDING, _HASH)
    except InvalidSignature:
        return False
    return True

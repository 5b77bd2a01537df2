"""Parser of JWTs in compact serialization (RFC 7515 section 3.1), strict: a token has one spelling and one meaning.

`cryptography` verifies the signature. Input that JWT libraries accept is refused here: padded base64url, header
extensions, JSON that is not UTF-8 or has a duplicate member.
"""

from __future__ import annotations

import json
from binascii import a2b_base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, NamedTuple

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from cryptography.hazmat.primitives.hashes import SHA256

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.token_format import ANY_TOKEN

ALGORITHM = "RS256"  # RFC 7518 section 3.3
_PADDING, _HASH = PKCS1v15(), SHA256()
_MEDIA_TYPE = "application/"


class Header(NamedTuple):
    """The header of a token. `kind` is its `typ` in lower case without `application/`, or `jwt` if it has none."""

    kid: str | None
    kind: str


def read_header(token: bytes) -> Header:
    """Read the header of a token: RS256, no extension, `kid` absent or a string. Raises Unauthenticated."""
    dots = token.count(b".")
    if dots != 2:
        # RFC 7516 section 3.1: an encrypted token has five parts.
        raise Unauthenticated(Cause.ENCRYPTED if dots == 4 else _cause_without_parts(token))
    return _header(token[: token.index(b".")])


def _cause_without_parts(token: bytes) -> Cause:
    return Cause.OTHER_PREFIX if ANY_TOKEN.fullmatch(token.decode("latin-1")) else Cause.OPAQUE


# All tokens that are signed by one key have the same header.
@lru_cache(maxsize=64)
def _header(segment: bytes) -> Header:
    try:
        header = _read_object(_decode(segment))
    except _JSON_ERRORS:
        header = None
    if header is None:
        raise Unauthenticated(Cause.MALFORMED_HEADER)
    if header.get("alg") != ALGORITHM:
        raise Unauthenticated(AuthenticationFault.ALGORITHM)
    # No extension is supported (RFC 7515 section 4.1.11), and b64 must not be used in JWTs (RFC 7797 section 7).
    if "crit" in header or "b64" in header:
        raise Unauthenticated(Cause.CRIT)
    kid = header.get("kid")
    if "kid" in header and not isinstance(kid, str):
        raise Unauthenticated(Cause.MALFORMED_KID)
    kind = header.get("typ", "jwt")
    if not isinstance(kind, str):
        raise Unauthenticated(Cause.TOKEN_TYPE)
    # RFC 7515 section 4.1.9: the prefix may be omitted, and media types are case-insensitive.
    return Header(kid, kind.lower().removeprefix(_MEDIA_TYPE))


# From base64url to base64; `+`, `/` and `=`, which are invalid here, become a character that is invalid in base64.
_BASE64 = bytes.maketrans(b"-_+/=", b"+/---")
# The last characters that leave the unused bits zero, by the length of the text modulo 4.
_LAST = (None, frozenset[int](), frozenset(b"AQgw"), frozenset(b"AEIMQUYcgkosw048"))


def _decode(segment: bytes) -> bytes:
    """Decode base64url (RFC 7515 section 2). Raises ValueError for any spelling but the canonical one."""
    last = _LAST[len(segment) % 4]
    if last is not None and segment[-1] not in last:
        raise ValueError
    return a2b_base64(segment.translate(_BASE64) + b"==="[: -len(segment) % 4], strict_mode=True)


def _read_object(text: bytes) -> dict[str, Any]:
    """Read a JSON object in UTF-8 with unique members. Raises one of _JSON_ERRORS."""
    value = msgspec.json.decode(text)
    if type(value) is not dict:
        raise ValueError
    if not _is_compact(value, text):
        json.loads(text, object_pairs_hook=_unique_members)
    return value


def _is_compact(value: dict[str, Any], text: bytes) -> bool:
    """Whether encoding the value gives the same text, as with most issuers: then no member is a duplicate."""
    try:
        return msgspec.json.encode(value) == text
    except OverflowError:  # an integer of more than 64 bits
        return False


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError
    return members


_JSON_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError)


def unverified_issuer(token: bytes) -> str:
    """The `iss` of a token whose signature is not verified yet, only to select the keys that verify it.

    Call `read_header` first. Raises Unauthenticated.
    """
    try:
        payload = _decode(token[token.index(b".") + 1 : token.rindex(b".")])
    except ValueError:
        raise Unauthenticated(Cause.MALFORMED_BASE64) from None
    issuer = _read_payload(payload).get("iss")
    if issuer is None:
        raise Unauthenticated(Cause.MISSING_ISS)
    if not isinstance(issuer, str):
        raise Unauthenticated(AuthenticationFault.ISSUER)
    return issuer


def unverified_claims(token: bytes) -> Mapping[str, Any]:
    """The claims of a token whose signature is not verified, only to refuse something; none if it is not a JWT."""
    parts = token.split(b".")
    try:
        return _read_payload(_decode(parts[1])) if len(parts) == 3 else {}
    except (ValueError, Unauthenticated):
        return {}


def read_claims(token: bytes, keys: Iterable[RSAPublicKey]) -> dict[str, Any]:
    """Verify the signature of a token with one of these keys, and read its claims. Call `read_header` first.

    Raises Unauthenticated.
    """
    signed, _, encoded = token.rpartition(b".")
    try:
        payload, signature = _decode(signed.partition(b".")[2]), _decode(encoded)
    except ValueError:
        raise Unauthenticated(Cause.MALFORMED_BASE64) from None
    if not any(_is_signed(signed, signature, key) for key in keys):
        raise Unauthenticated(AuthenticationFault.SIGNATURE)
    return _read_payload(payload)


def _read_payload(payload: bytes) -> dict[str, Any]:
    try:
        return _read_object(payload)
    except _JSON_ERRORS:
        pass  # raised below, so that the library's error, which quotes the input, is not its context
    raise Unauthenticated(Cause.MALFORMED_CLAIMS)


def _is_signed(signed: bytes, signature: bytes, key: RSAPublicKey) -> bool:
    try:
        key.verify(signature, signed, _PADDING, _HASH)
    except InvalidSignature:
        return False
    return True

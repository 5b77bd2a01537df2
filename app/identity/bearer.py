"""The bearer token of a request, from its raw headers (RFC 6750 section 2.1, RFC 9110 section 11.6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated

MAX_TOKEN_BYTES = 16_384  # one with the identifiers of 200 groups has 11 KB
KEY_PREFIX = "grd_"
_KEY_PREFIX = KEY_PREFIX.encode()
_PLAIN = re.compile(rb"Bearer [!-~]+")


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The value of the Authorization header; None without one. Raises Unauthenticated when it is there twice.

    `headers` are those of an ASGI scope.
    """
    value: bytes | None = None
    for name, content in headers:
        # Servers send names in lower case; one that does not must not hide a second header.
        if len(name) == 13 and name.lower() == b"authorization":
            if value is not None:
                raise Unauthenticated(AuthenticationFault.SENT_TWICE)
            value = content
    return value


def token_of(value: bytes, max_bytes: int = MAX_TOKEN_BYTES) -> str | None:
    """The token, in ASCII, unverified, in the value of the header; None for another scheme.

    Raises Unauthenticated when the value has no token, has more than one part, or is not ASCII, or when the token is
    longer than `max_bytes`.
    """
    plain = _PLAIN.fullmatch(value)  # as nearly every client writes it
    if plain:
        token = value[7:]
    else:
        value = value.strip(b" \t")
        if value[:6].lower() != b"bearer" or value[6:7] not in (b"", b" ", b"\t"):
            return None
        token = value[6:].lstrip(b" ")
        if not token:
            raise Unauthenticated(AuthenticationFault.NO_CREDENTIALS)
    if len(token) > max_bytes:
        raise Unauthenticated(_malformed(token, Cause.TOO_LONG))
    if not plain:
        if b" " in token or b"\t" in token:
            raise Unauthenticated(AuthenticationFault.SPACES)
        if not token.isascii():
            raise Unauthenticated(_malformed(token, Cause.NOT_ASCII))
    return token.decode("ascii")


def _malformed(token: bytes, cause: Cause) -> AuthenticationFault | Cause:
    return AuthenticationFault.KEY_MALFORMED if token.startswith(_KEY_PREFIX) else cause

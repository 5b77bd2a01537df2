"""The bearer token of a request, from its raw headers (RFC 6750 section 2.1, RFC 9110 section 11.6.2)."""

from __future__ import annotations

import re
from collections.abc import Iterable

from app.identity.errors import AuthenticationFault, Cause, Unauthenticated
from app.identity.token_format import current

MAX_TOKEN_BYTES = 16_384  # a token that names 200 groups by their ids has 11 KB
_PLAIN = re.compile(rb"Bearer [!-~]+")


def authorization(headers: Iterable[tuple[bytes, bytes]]) -> bytes | None:
    """The value of the Authorization header in the headers of an ASGI scope; None if there is none.

    Raises Unauthenticated if the header is sent twice.
    """
    value: bytes | None = None
    for name, content in headers:
        # ASGI servers send names in lower case; a server that does not must not hide a second header.
        if len(name) == 13 and name.lower() == b"authorization":
            if value is not None:
                raise Unauthenticated(AuthenticationFault.SENT_TWICE)
            value = content
    return value


def parse_bearer_token(value: bytes, max_bytes: int = MAX_TOKEN_BYTES) -> str | None:
    """The unverified ASCII token in the value of the header; None for another scheme.

    Raises Unauthenticated if there is no token, more than one, one that is not ASCII, or one longer than `max_bytes`.
    """
    plain = _PLAIN.fullmatch(value)  # what nearly every client sends
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
    text, tokens = token.decode("latin-1"), current()
    is_key = text.startswith(tokens.starts) and not text.startswith(tokens.app_starts)
    return AuthenticationFault.KEY_MALFORMED if is_key else cause

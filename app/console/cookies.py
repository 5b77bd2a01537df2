"""The cookie of a console session, and the CSRF token of its forms.

The cookie holds 256 random bits and nothing else. The `__Host-` prefix binds it to this host, over TLS alone
(RFC 6265bis section 4.1.3); on plain http, which is for loopback, the same cookie has no prefix.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import Iterable

from litestar.datastructures import Cookie

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43}")
_NAME = "authz"


def new_token() -> str:
    """A token for a new session."""
    return secrets.token_urlsafe(32)


def digest(token: str) -> bytes:
    """The digest that is stored for a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(token: str) -> str:
    """The CSRF token of a session, derived from its token without revealing it."""
    return hmac.new(token.encode(), b"csrf", hashlib.sha256).hexdigest()


def cookie(value: str, *, secure: bool, max_age: int, name: str = _NAME) -> Cookie:
    """A cookie with our prefix; `max_age` in seconds, 0 to delete it."""
    return Cookie(
        key=("__Host-" if secure else "") + name,
        value=value,
        path="/",
        max_age=max_age,
        secure=secure,
        httponly=True,
        samesite="lax",
    )


def read(headers: Iterable[tuple[bytes, bytes]], *, secure: bool, name: str = _NAME) -> str | None:
    """The value of a cookie; None also if it was sent twice, since another site may have set one of them."""
    expected = ("__Host-" if secure else "") + name
    found = []
    for header, value in headers:
        if header == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                given, _, held = pair.strip().partition("=")
                if given == expected:
                    found.append(held)
    return found.pop() if len(found) == 1 else None


def session_token(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> str | None:
    """The session token of a request, if it has the shape of one."""
    value = read(headers, secure=secure)
    return value if value is not None and _TOKEN.fullmatch(value) else None

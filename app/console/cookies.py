"""The console's cookie, and the token that forms carry beside it.

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
    """What is stored of a token: 256 random bits need no slow hash."""
    return hashlib.sha256(token.encode()).digest()


def csrf_token(token: str) -> str:
    """What the forms of a session carry: follows from its token, and does not give it away."""
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
    """The value of one of our cookies. Also None when it was sent twice: then another site set one of them."""
    wanted = ("__Host-" if secure else "") + name
    found = []
    for header, value in headers:
        if header == b"cookie":
            for pair in value.decode("latin-1").split(";"):
                given, _, held = pair.strip().partition("=")
                if given == wanted:
                    found.append(held)
    return found.pop() if len(found) == 1 else None


def session_token(headers: Iterable[tuple[bytes, bytes]], *, secure: bool) -> str | None:
    """The token of the session that a request belongs to, if it has the shape of one."""
    value = read(headers, secure=secure)
    return value if value is not None and _TOKEN.fullmatch(value) else None

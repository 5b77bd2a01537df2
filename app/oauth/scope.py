"""The `scope` of a request (RFC 6749 section 3.3)."""

from __future__ import annotations

import re
from collections.abc import Callable

from app.oauth.errors import OAuthError

MAX_CHARACTERS = 2_000
# Words of OpenID Connect, which clients send out of habit. The issuer owns sign-in, so they mean nothing here.
_IGNORED = frozenset({"offline_access", "openid", "profile", "email"})
_WORDS = re.compile(r"[\x21\x23-\x5B\x5D-\x7E]+(?: [\x21\x23-\x5B\x5D-\x7E]+)*")


def is_write(scope: str) -> bool:
    """Whether a scope is for more than reading."""
    return not scope.endswith(":read")


def scopes_of(
    text: str | None,
    is_known: Callable[[str], bool],
    unknown: str = "The `scope` has a permission that this app may not ask for. Without one it asks for all it may.",
) -> tuple[str, ...] | None:
    """The scopes in a parameter, sorted; None if it states none.

    Raises OAuthError `invalid_scope` if it is malformed, or with the description `unknown` if a scope is not known.
    """
    if not text:
        return None
    if len(text) > MAX_CHARACTERS or not _WORDS.fullmatch(text):
        raise OAuthError("invalid_scope", "The `scope` is not a list of words that are separated by single spaces.")
    scopes = sorted(set(text.split(" ")) - _IGNORED)
    for scope in scopes:
        if not is_known(scope):
            raise OAuthError("invalid_scope", unknown)
    return tuple(scopes) or None

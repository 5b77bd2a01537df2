"""The state of an unfinished sign-in, kept only in a cookie of the browser that began it."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

COOKIE = "authz-sign-in"
SECONDS = 600
HOME = "/console"
_TOKEN = r"[A-Za-z0-9_-]{43}"  # noqa: S105  # a pattern, not a password
_SHAPE = re.compile(rf"({_TOKEN})\.({_TOKEN})\.({_TOKEN})\.([A-Za-z0-9_-]{{0,2000}})")
# Below /console in plain characters; parsers disagree about `//`, `\` and `..`.
_LOCAL = re.compile(r"/console(/[A-Za-z0-9_.~%{}-]+)*(\?[A-Za-z0-9_.~%!$&'()*+,;=:@/?{}-]*)?")
_NOT_BACK_TO = ("/console/sign-in", "/console/callback", "/console/sign-out", "/console/signed-out")
_MAX_PATH = 1000


@dataclass(frozen=True, slots=True)
class LoginState:
    """Binds the issuer's answer to the browser (`state`), its token to the sign-in (`nonce`), and the code to this
    client (`verifier`, RFC 7636). `to` is the page that the user asked for."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    to: str

    @property
    def challenge(self) -> str:
        """The code challenge (RFC 7636 section 4.2, S256)."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    def cookie(self) -> str:
        """The value of the cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}.{_base64(self.to.encode())}"


def begin(to: str) -> LoginState:
    """Begin a sign-in that returns to a path of the console; any other address becomes the front page."""
    return LoginState(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), local_path(to))


def read(cookie: str | None) -> LoginState | None:
    """The state in a cookie; None if it is missing or invalid."""
    shape = _SHAPE.fullmatch(cookie or "")
    if shape is None:
        return None
    state, nonce, verifier, to = shape.groups()
    try:
        path = urlsafe_b64decode(to + "=" * (-len(to) % 4)).decode()
    except ValueError:
        return None
    return LoginState(state, nonce, verifier, local_path(path))


def local_path(path: str) -> str:
    """The path if a sign-in may return to it, else the front page."""
    if len(path) > _MAX_PATH or not _LOCAL.fullmatch(path) or ".." in path or path.startswith(_NOT_BACK_TO):
        return HOME
    return path


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()

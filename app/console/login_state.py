"""A sign-in that has begun and is not yet over, kept in the browser that began it and nowhere else."""

from __future__ import annotations

import hashlib
import re
import secrets
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass, field

COOKIE = "authz-sign-in"
SECONDS = 600
HOME = "/console"
_TOKEN = r"[A-Za-z0-9_-]{43}"  # noqa: S105  # a pattern, no password
_SHAPE = re.compile(rf"({_TOKEN})\.({_TOKEN})\.({_TOKEN})\.([A-Za-z0-9_-]{{0,2000}})")
# Below /console in plain characters; `//`, `\` and `..` are read differently by different readers.
_LOCAL = re.compile(r"/console(/[A-Za-z0-9_.~%{}-]+)*(\?[A-Za-z0-9_.~%!$&'()*+,;=:@/?{}-]*)?")
_NOT_BACK_TO = ("/console/sign-in", "/console/callback", "/console/sign-out", "/console/signed-out")
_MAX_PATH = 1000


@dataclass(frozen=True, slots=True)
class Attempt:
    """What ties the issuer's answer to this browser (`state`), its token to this sign-in (`nonce`), and the code to us
    (`verifier`, RFC 7636). `to` is where the reader was going."""

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    verifier: str = field(repr=False)
    to: str

    @property
    def challenge(self) -> str:
        """RFC 7636 section 4.2, S256."""
        return _base64(hashlib.sha256(self.verifier.encode()).digest())

    def cookie(self) -> str:
        """The value of its cookie."""
        return f"{self.state}.{self.nonce}.{self.verifier}.{_base64(self.to.encode())}"


def begin(to: str) -> Attempt:
    """A new sign-in that returns to a path of this console; any other address becomes the front page."""
    return Attempt(secrets.token_urlsafe(32), secrets.token_urlsafe(32), secrets.token_urlsafe(32), local_path(to))


def read(cookie: str | None) -> Attempt | None:
    """The attempt of a cookie's value, None when there is none that can be read."""
    shape = _SHAPE.fullmatch(cookie or "")
    if shape is None:
        return None
    state, nonce, verifier, to = shape.groups()
    try:
        path = urlsafe_b64decode(to + "=" * (-len(to) % 4)).decode()
    except ValueError:
        return None
    return Attempt(state, nonce, verifier, local_path(path))


def local_path(path: str) -> str:
    """The path, when it is a page of the console to go to after a sign-in, else the front page."""
    if len(path) > _MAX_PATH or not _LOCAL.fullmatch(path) or ".." in path or path.startswith(_NOT_BACK_TO):
        return HOME
    return path


def _base64(content: bytes) -> str:
    return urlsafe_b64encode(content).rstrip(b"=").decode()

"""Where a token may be sent, and what a token is."""

from __future__ import annotations

import re

import httpx

_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


def checked_base(url: str) -> httpx.URL:
    """The address of an API. Raises ValueError for one to which a token would travel in the clear, or with a path."""
    try:
        base = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise ValueError(f"the address of the API cannot be read: {error}") from None
    if base.userinfo:  # httpx would send it instead of the token
        raise ValueError("the address of the API has a user or a password: remove it, since the token is an argument")
    if base.scheme != "https" and not (base.scheme == "http" and base.host in _LOOPBACK):
        raise ValueError(f"the address of the API must begin with https://, since requests carry a token: {url}")
    if not base.host or base.path not in ("", "/") or base.query or base.fragment:
        raise ValueError(f"the address of the API is a scheme and a host: {url}")
    return base


def checked_path(path: str) -> str:
    """A path of the API. Raises ValueError for an address, to which the token would be sent."""
    if not path.startswith("/") or path.startswith("//"):
        raise ValueError(f"a path of the API begins with one slash: {path}")
    return path


def checked_token(token: object) -> str:
    """A token or an API key. Raises TypeError or ValueError, without the token, for what cannot be one."""
    if not isinstance(token, str):
        raise TypeError(f"the token is no text but {type(token).__name__}")
    if not _TOKEN.fullmatch(token):
        raise ValueError("the token is empty or has characters that no token has, such as a space or a line end")
    return token

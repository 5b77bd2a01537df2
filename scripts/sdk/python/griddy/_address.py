"""Where a token may be sent, and what a token is."""

from __future__ import annotations

import re

import httpx

_BASE = re.compile(r"(https?)://[^/?#\\\s]+/?", re.IGNORECASE)
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_LAST_PORT = 65_535
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1
# No address of another host, and nothing that a parser of addresses changes or removes.
_PATH = re.compile(r"/(?!/)[!\"$-\[\]-~]{0,8000}")
_DOTS = re.compile(r"/(?:\.|%2e){1,2}(?:/|\Z)", re.IGNORECASE)


def checked_base(url: str) -> httpx.URL:
    """The address of an API. Raises ValueError for one to which a token would travel in the clear, or with a path."""
    if "@" in url:
        raise ValueError("the address of the API has a user or a password: remove it, since the token is an argument")
    match = _BASE.fullmatch(url)
    try:
        base = httpx.URL(url) if match else None
    except httpx.InvalidURL:
        base = None
    if base is None or not base.host or (base.port or 0) > _LAST_PORT:
        raise ValueError(f'the address of the API is a scheme and a host, such as https://api.example.com, not "{url}"')
    if base.scheme != "https" and base.host not in _LOOPBACK:
        raise ValueError(f"the address of the API must begin with https://, since requests carry a token: {url}")
    return base


def checked_path(path: str) -> str:
    """A path of the API and a query. Raises ValueError for one that leads elsewhere, or that a parser would change."""
    if not _PATH.fullmatch(path) or _DOTS.search(path.partition("?")[0]):
        raise ValueError(
            f"a path of the API begins with one slash, is percent-encoded and has no dots as a segment: {path[:100]}"
        )
    return path


def checked_token(token: object) -> str:
    """A token or an API key. Raises ValueError, without the token, for what cannot be one: httpx would show it."""
    if isinstance(token, str) and _TOKEN.fullmatch(token):
        return token
    raise ValueError("the token is empty or has characters that no token has, such as a space or a line end")


def segment(row_id: int) -> str:
    """An id as a segment of a path. Raises ValueError for anything but an integer."""
    if type(row_id) is not int:
        raise ValueError(f"an id is an integer: {row_id!r}")
    return str(row_id)

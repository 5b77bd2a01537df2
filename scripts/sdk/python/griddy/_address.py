"""Addresses: where a token may be sent."""

from __future__ import annotations

import httpx

_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def checked_base(url: str) -> httpx.URL:
    """The address of an API. Raises ValueError for one to which a token would travel in the clear, or with a path."""
    base = httpx.URL(url)
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


def path_of(link: str) -> str:
    """The path and query of a link to a next page. Its host is ignored, since the token is for this API alone."""
    return httpx.URL(link).raw_path.decode("ascii")


def next_link(response: httpx.Response) -> str | None:
    """The next page, as the `Link` header of a list names it (RFC 8288)."""
    link = response.links.get("next")
    return path_of(link["url"]) if link else None

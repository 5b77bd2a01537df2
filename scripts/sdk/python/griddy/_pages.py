"""Pages of lists. A response names the next one; of that link only the query counts: no token leaves the list."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from ._errors import UnexpectedResponse, json_of
from ._headers import links_of

_QUERY = re.compile(r"[^?#]*(\?[0-9A-Za-z._~%=&+/:,;@!$()*?-]{1,4000})(?:#.*)?")


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the path of the next page; None after the last."""

    rows: list[Any]
    following: str | None


# Reads a page of the list at a path.
ReadPage = Callable[[httpx.Response, str], Page]


def cursor_page(response: httpx.Response, path: str) -> Page:
    """A page whose body has the rows and the next page. Raises UnexpectedResponse."""
    body = object_of(response)
    if "next" not in body:
        raise UnexpectedResponse(response, "it is not a page of rows")
    return _page(response, path, body.get("results"), body["next"])


def linked_page(response: httpx.Response, path: str) -> Page:
    """A page whose body is the rows, with the next page in `Link` (RFC 8288). Raises UnexpectedResponse."""
    links = links_of(response.headers.get("link", ""))
    if links is None:
        raise UnexpectedResponse(response, "its header Link is malformed")
    for link in links:
        relations = link.parameters.get("rel", "").lower().split(" ")
        if "next" in relations and "anchor" not in link.parameters:
            return _page(response, path, json_of(response), link.target)
    return _page(response, path, json_of(response), None)


def object_of(response: httpx.Response) -> Any:
    """The body of a response, which must be an object. Raises UnexpectedResponse."""
    body = json_of(response)
    if not isinstance(body, dict):
        raise UnexpectedResponse(response, "it is not an object")
    return body


def _page(response: httpx.Response, path: str, rows: object, link: object) -> Page:
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise UnexpectedResponse(response, "it is not a page of rows")
    if link is None:
        return Page(rows, None)
    match = _QUERY.fullmatch(link) if isinstance(link, str) else None
    following = path + match[1] if match else ""
    # Each page has rows and leads to another, so that a list ends.
    if not rows or following in ("", response.request.url.raw_path.decode("ascii")):
        raise UnexpectedResponse(response, "its link to the next page leads nowhere")
    return Page(rows, following)

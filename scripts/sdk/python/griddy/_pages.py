"""Pages of lists. A response names the next one; of that link only the query counts, so no token leaves the list."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

from ._errors import UnexpectedResponse, content_of


@dataclass(frozen=True, slots=True)
class Page:
    """Rows, and the path of the next page; None after the last."""

    rows: list[Any]
    following: str | None


def page_of_rows(response: httpx.Response, path: str) -> Page:
    """A page of a resource at `path`, whose body names the next one. Raises UnexpectedResponse."""
    body = content_of(response)
    if not isinstance(body, dict) or "next" not in body:
        raise UnexpectedResponse(response, "it is not a page of rows")
    return _page(response, path, body.get("results"), body["next"])


def page_of_keys(response: httpx.Response, path: str) -> Page:
    """A page of keys, whose `Link` header names the next one (RFC 8288). Raises UnexpectedResponse."""
    link = response.links.get("next")
    return _page(response, path, content_of(response), link and link.get("url"))


def _page(response: httpx.Response, path: str, rows: object, link: object) -> Page:
    if not isinstance(rows, list):
        raise UnexpectedResponse(response, "it is not a page of rows")
    if link is None:
        return Page(rows, None)
    try:
        query = httpx.URL(link).query.decode("ascii") if isinstance(link, str) else ""
    except httpx.InvalidURL:
        query = ""
    # Each page has rows and leads to another, so that a list ends.
    if not rows or not query or query == response.request.url.query.decode("ascii"):
        raise UnexpectedResponse(response, "its link to the next page leads nowhere")
    return Page(rows, f"{path}?{query}")

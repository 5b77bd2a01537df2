"""Pagination of lists, newest first, by `Link` headers (RFC 8288)."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from litestar.datastructures.response_header import ResponseHeader

from app.http.wire.cursors import read_cursor
from app.http.wire.problems import Problem
from app.services import Services

LINK = ResponseHeader(
    name="Link", documentation_only=True, description='Where there are more: the next page, as `rel="next"`.'
)


def next_link(services: Services, path: str, query: Mapping[str, str]) -> dict[str, str]:
    """The header, with the public address or else a relative reference; a Host header is not trusted."""
    return {"Link": f'<{services.settings.public_url or ""}{path}/?{urlencode(query)}>; rel="next"'}


def read_before(cursor: str | None, listing: str) -> int | None:
    """The id before which a page starts; None without a cursor. Raises Problem 400."""
    if cursor is None:
        return None
    before = read_cursor(cursor, listing).before
    if before is None:
        raise Problem(400, "The cursor is invalid: use the one in `Link` as it is.")
    return before

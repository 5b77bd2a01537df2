"""Pagination of lists, newest first, by `Link` headers (RFC 8288)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Protocol
from urllib.parse import urlencode

from litestar.datastructures.response_header import ResponseHeader
from litestar.params import QueryParameter

from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.problems import Problem
from app.services import Services

LINK = ResponseHeader(
    name="Link", documentation_only=True, description='Where there are more: the next page, as `rel="next"`.'
)
Cursor = Annotated[str | None, QueryParameter(description="As the `Link` of a page has it; the first without it.")]


def next_link(services: Services, path: str, query: Mapping[str, str]) -> dict[str, str]:
    """The header, with the public address or else a relative reference; a Host header is not trusted."""
    return {"Link": f'<{services.settings.public_url or ""}{path}/?{urlencode(query)}>; rel="next"'}


class Identified(Protocol):
    """A row of a list that is in the order of ids."""

    @property
    def id(self) -> int | None:
        """The id, which a stored row has."""


def link_after(
    services: Services,
    path: str,
    shown: Sequence[Identified],
    found: Sequence[object],
    *,
    listing: str | None = None,
    filters: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The header of a page that shows the first of the rows that were found; empty if it shows all of them.

    `listing` is what the cursor is valid for, the path if it is not given.
    """
    if len(shown) == len(found):
        return {}
    following = write_cursor(CursorPosition(before=shown[-1].id), listing or path)
    return next_link(services, path, {**(filters or {}), "cursor": following})


def read_before(cursor: str | None, listing: str) -> int | None:
    """The id before which a page starts; None without a cursor. Raises Problem 400."""
    if cursor is None:
        return None
    before = read_cursor(cursor, listing).before
    if before is None:
        raise Problem(400, "The cursor is invalid: use the one in `Link` as it is.")
    return before

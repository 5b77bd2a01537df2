"""The API of the admin log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import urlencode

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.admin_log import ADMIN_FILTERS, AdminActionView, read_admin_filter
from app.db import admin_actions
from app.http.wire.cursors import CursorPosition, write_cursor
from app.http.wire.filters import filtered_operation, given_filters, read_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.link import LINK, next_link, read_before
from app.http.wire.page_size import limit_size
from app.http.wire.problems import InvalidBody
from app.services import AnyRequest, services_of

PATH = "/api/v1/admin-actions"
PAGE_SIZE = 100
_CURSOR = "as the `Link` of a page has it; the newest acts without it"


@dataclass(frozen=True, slots=True)
class AdminActionPage:
    """Acts that match `filters`, newest first; `older` is the cursor of the next page, if there is one."""

    filters: Mapping[str, str]
    actions: Sequence[AdminActionView]
    older: str | None


@get_or_head(
    PATH,
    summary="List administrative acts",
    tags=["admin log"],
    operation_class=filtered_operation({**ADMIN_FILTERS, "cursor": _CURSOR}),
    responses={400: ResponseSpec(InvalidBody, description="A filter or the cursor is invalid")},
    response_headers=[LINK],
)
async def list_admin_actions(request: AnyRequest, session: RequestSession) -> Response[list[AdminActionView]]:
    """Administrative acts, newest first, at most 100. `Link` has the next page (RFC 8288)."""
    found = await found_admin_actions(session, given_filters(request), PAGE_SIZE)
    headers = {"Cache-Control": "no-store"}
    if found.older:
        headers |= next_link(services_of(request.app), PATH, {**found.filters, "cursor": found.older})
    return Response(list(found.actions), headers=headers)


async def found_admin_actions(session: AsyncSession, given: Mapping[str, str], size: int) -> AdminActionPage:
    """Query a page of at most `size` acts, by filters and a `cursor`. Raises Problem 400."""
    filters = {name: text for name, text in sorted(given.items()) if name != "cursor"}
    admin_filter = read_filters(read_admin_filter, filters)
    listing = f"{PATH}?{sha256(urlencode(filters).encode()).hexdigest()[:16]}"
    before = read_before(given.get("cursor"), listing)
    rows = await admin_actions.page(session, admin_filter, before=before, limit=size + 1)
    shown = limit_size(rows[:size], _size_of)
    older = write_cursor(CursorPosition(before=shown[-1].id), listing) if len(rows) > len(shown) else None
    return AdminActionPage(filters, shown, older)


def _size_of(view: AdminActionView) -> int:
    """The approximate number of characters of an act in the response."""
    listed = (value if isinstance(value, list) else [str(value)] for value in view.details.values())
    return len(view.message) + sum(len(text) for texts in listed for text in texts)

"""The admin log over HTTP: what administrators did, newest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any
from urllib.parse import urlencode

from litestar import Request, Response, route
from litestar.datastructures import State
from litestar.datastructures.response_header import ResponseHeader
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.admin_log import ADMIN_FILTERS, AdminActionView, read_admin_filter
from app.audit.filter_values import BadFilter
from app.db import admin_actions
from app.http.api.decisions import INVALID, given_filters
from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.page_size import fitting
from app.http.wire.problems import InvalidBody, Problem
from app.services import services_of

PATH = "/api/v1/admin-actions"
PAGE_SIZE = 100
_CURSOR = "as the `Link` of a page has it; the newest acts without it"


@dataclass(frozen=True, slots=True)
class AdminActionPage:
    """Acts that match `filters`, newest first; `older` is the cursor of the next page, if there is one."""

    filters: Mapping[str, str]
    actions: Sequence[AdminActionView]
    older: str | None


@dataclass
class _FilteredActions(Operation):
    """The operation with its filters, which are read by hand: an unknown one is refused, and so is one sent twice."""

    def __post_init__(self) -> None:
        self.parameters = [
            Parameter(name=name, param_in="query", schema=Schema(type=OpenAPIType.STRING), description=description)
            for name, description in {**ADMIN_FILTERS, "cursor": _CURSOR}.items()
        ]


@route(
    PATH,
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="List administrative acts",
    tags=["admin log"],
    operation_class=_FilteredActions,
    responses={400: ResponseSpec(InvalidBody, description="A filter or the cursor is invalid")},
    response_headers=[
        ResponseHeader(
            name="Link", documentation_only=True, description='Where there are more: the next page, as `rel="next"`.'
        )
    ],
)
async def list_admin_actions(
    request: Request[Any, Any, State], session: NamedDependency[AsyncSession]
) -> Response[list[AdminActionView]]:
    """Who did what, by which door and when, newest first, 100 at most. `Link` leads to the next page (RFC 8288)."""
    services = services_of(request.app)
    found = await found_admin_actions(session, given_filters(request), PAGE_SIZE)
    headers = {"Cache-Control": "no-store"}
    if found.older:
        # A relative reference where the public address is not set: any client writes the Host header.
        query = urlencode({**found.filters, "cursor": found.older})
        headers["Link"] = f'<{services.settings.public_url or ""}{PATH}/?{query}>; rel="next"'
    return Response(list(found.actions), headers=headers)


async def found_admin_actions(session: AsyncSession, given: Mapping[str, str], size: int) -> AdminActionPage:
    """The page that filters and a `cursor` select, of at most `size` acts. Raises Problem 400."""
    filters = {name: text for name, text in sorted(given.items()) if name != "cursor"}
    try:
        wanted = read_admin_filter(filters, datetime.now(UTC))
    except BadFilter as bad:
        errors = [{"field": name, "message": message} for name, message in bad.errors.items()]
        raise Problem(400, INVALID, errors) from None
    listing = f"{PATH}?{sha256(urlencode(filters).encode()).hexdigest()[:16]}"
    before = _below(given["cursor"], listing) if "cursor" in given else None
    rows = await admin_actions.page(session, wanted, before=before, limit=size + 1)
    shown = fitting(rows[:size], _size_of)
    older = write_cursor(CursorPosition(before=shown[-1].id), listing) if len(rows) > len(shown) else None
    return AdminActionPage(filters, shown, older)


def _below(cursor: str, listing: str) -> int:
    before = read_cursor(cursor, listing).before
    if before is None:
        raise Problem(400, "The cursor is invalid: use the one in `Link` as it is.")
    return before


def _size_of(view: AdminActionView) -> int:
    """About how many characters an act has in the answer."""
    listed = (value if isinstance(value, list) else [str(value)] for value in view.details.values())
    return len(view.message) + sum(len(text) for texts in listed for text in texts)

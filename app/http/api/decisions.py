"""The API of the decision log: pages, an export as JSON Lines, and its health."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from typing import Any, cast
from urllib.parse import urlencode

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import FILTERS, DecisionFilter, read
from app.audit.view import DecisionView, DeletionNotice, DropNotice, deletion_line, drop_line, json_line, view
from app.db import decision_deletions, decision_drops
from app.db import decisions as logged
from app.db.decisions import LogPosition
from app.db.shielded import shielded
from app.http.api.decision_log_health import DecisionLogHealth, health_of
from app.http.wire.cursors import DecisionsAround, read_log_cursor, write_log_cursor
from app.http.wire.filters import filtered_operation, given_filters, read_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.json_lines import JSON_LINES, line_type
from app.http.wire.problems import InvalidBody
from app.services import AnyRequest, services_of

PAGE_SIZE = 50
_PATH = "/api/v1/decisions"
_CURSOR = "from `next` or `previous` of a page; the newest without it"
_LINE = cast("type[Any]", DecisionView | DropNotice | DeletionNotice)  # Litestar's type does not know unions
_BAD = {400: ResponseSpec(InvalidBody, description="A filter is invalid or unknown")}


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions, newest first; `next` is the page with older ones."""

    next: str | None
    previous: str | None
    results: list[DecisionView]


@dataclass(frozen=True, slots=True)
class DecisionResults:
    """A page of decisions, newest first, filtered by `query`, which states `decision_filter`.

    `older` and `newer` are the cursors of the adjacent pages, if there are any; `latest` is the cursor of all future
    decisions.
    """

    query: str
    decision_filter: DecisionFilter
    decisions: list[DecisionView]
    older: str | None
    newer: str | None
    latest: str


@get_or_head(
    _PATH,
    summary="List decisions",
    tags=["decisions"],
    operation_class=filtered_operation({**FILTERS, "cursor": _CURSOR}),
    responses=_BAD,
)
async def list_decisions(request: AnyRequest, session: RequestSession) -> DecisionPage:
    """Decisions, newest first. A decision is listed after about a second."""
    found = await found_decisions(session, given_filters(request))

    def link(cursor: str | None) -> str | None:
        query = found.query
        return None if cursor is None else f"{_PATH}/?{query}{'&' if query else ''}cursor={cursor}"

    return DecisionPage(link(found.older), link(found.newer), found.decisions)


@get_or_head(
    f"{_PATH}/export",
    summary="Export decisions",
    tags=["decisions"],
    operation_class=filtered_operation(FILTERS),
    responses={
        **_BAD,
        200: ResponseSpec(
            _LINE,
            description="A decision, or a time of which decisions were lost or deleted, on each line",
            media_type=JSON_LINES,
        ),
    },
)
async def export_decisions(request: AnyRequest) -> Stream:
    """All matching decisions until now, oldest first, as JSON Lines.

    Before them is a line with `dropped` for each time during which the log lost decisions, matching or not, and a line
    with `deleted` for decisions that were deleted, since the log was too large.
    """
    services = services_of(request.app)
    decision_filter = read_filters(read, given_filters(request))

    async with services.sessions() as session:
        dropped = await decision_drops.between(session, decision_filter.since, decision_filter.until)
        deleted = await decision_deletions.between(session, decision_filter.since, decision_filter.until)

    async def lines() -> AsyncIterator[bytes]:
        yield b"".join([*map(drop_line, dropped), *map(deletion_line, deleted)])
        async with aclosing(logged.everything(services.sessions, decision_filter)) as pages:
            # Without a default for anext, with which Python 3.11 raises SystemError at the end.
            with suppress(StopAsyncIteration):
                while True:
                    rows = await shielded(anext(pages))
                    yield b"".join(json_line(row.id, row.record) for row in rows)

    headers = {"Content-Disposition": 'attachment; filename="decisions.jsonl"', "Cache-Control": "no-store"}
    return Stream(lines(), media_type=line_type(request, JSON_LINES), headers=headers)


@get_or_head(f"{_PATH}/health", summary="Show the health of the decision log", tags=["decisions"])
async def retrieve_decision_log_health(request: AnyRequest) -> Response[DecisionLogHealth]:
    """The numbers of written, queued, lost and deleted decisions of this process since its start."""
    return Response(health_of(services_of(request.app)), headers={"Cache-Control": "no-store"})


ROUTES = [list_decisions, export_decisions, retrieve_decision_log_health]


async def found_decisions(
    session: AsyncSession, given: Mapping[str, str], except_door: str | None = None
) -> DecisionResults:
    """Query a page by filters and a `cursor`, without the decisions of one door. Raises Problem 400."""
    filters = {name: text for name, text in given.items() if name != "cursor"}
    decision_filter = replace(read_filters(read, filters), except_door=except_door)
    query = urlencode(sorted(filters.items()))
    around = read_log_cursor(given["cursor"], query) if "cursor" in given else None
    page = await logged.page(
        session,
        decision_filter,
        size=PAGE_SIZE,
        older_than=around.mark if around and around.side == "older" else None,
        newer_than=around.mark if around and around.side == "newer" else None,
    )
    newest, oldest = _edges(page, around)
    latest = write_log_cursor(DecisionsAround("newer", newest), query)
    return DecisionResults(
        query,
        decision_filter,
        [view(row.id, row.record) for row in page.rows],
        older=write_log_cursor(DecisionsAround("older", oldest), query) if page.more_older else None,
        newer=latest if page.more_newer else None,
        latest=latest,
    )


def _edges(page: logged.DecisionRows, around: DecisionsAround | None) -> tuple[LogPosition, LogPosition]:
    """The positions of the newest and the oldest decision of a page, or those around an empty page."""
    if page.rows:
        return page.rows[0].position, page.rows[-1].position
    at = around.mark if around else LogPosition(0, 0)
    if around and around.side == "older":
        return LogPosition(at.at, at.id - 1), at
    return at, LogPosition(at.at, at.id + 1)

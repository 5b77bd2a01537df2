"""The decision log over HTTP: a page of it, all of it as JSON Lines, and how it fares."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import urlencode

from litestar import Request, Response, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.openapi.spec import OpenAPIType, Operation, Parameter, Schema
from litestar.response import Stream
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import FILTERS, BadFilter, DecisionFilter, read
from app.audit.log import Health
from app.audit.sanitize import clean
from app.audit.view import DecisionView, json_line, view
from app.db import decisions as logged
from app.db.decisions import LogPosition
from app.db.shielded import shielded
from app.http.wire.cursors import DecisionsAround, read_log_cursor, write_log_cursor
from app.http.wire.problems import InvalidBody, Problem
from app.services import services_of

PAGE_SIZE = 50
INVALID = "The filters are invalid."
_PATH = "/api/v1/decisions"
_READ = [HttpMethod.GET, HttpMethod.HEAD]
_CURSOR = "from `next` or `previous` of a page; the newest without it"
_BAD = {400: ResponseSpec(InvalidBody, description="A filter cannot be read, or there is no such filter")}
_Request = Request[Any, Any, State]


@dataclass(frozen=True, slots=True)
class DecisionPage:
    """Decisions, newest first; `next` leads to older ones."""

    next: str | None
    previous: str | None
    results: list[DecisionView]


@dataclass(frozen=True, slots=True)
class DecisionResults:
    """A page of decisions, newest first, as they are filtered by `query`.

    `older` and `newer` are the cursors of the pages beside it, if there are such; `latest` is that of whatever will
    be newer than this page.
    """

    query: str
    decisions: list[DecisionView]
    older: str | None
    newer: str | None
    latest: str


@dataclass
class _Filtered(Operation):
    """The operation with its filters, which are read by hand: one that is unknown or sent twice is refused."""

    names: ClassVar[tuple[str, ...]] = tuple(FILTERS)

    def __post_init__(self) -> None:
        described = {**FILTERS, "cursor": _CURSOR}
        self.parameters = [
            Parameter(name=name, param_in="query", schema=Schema(type=OpenAPIType.STRING), description=described[name])
            for name in self.names
        ]


@dataclass
class _FilteredPage(_Filtered):
    """As its base, with a cursor."""

    names: ClassVar[tuple[str, ...]] = (*FILTERS, "cursor")


@route(
    _PATH,
    http_method=_READ,
    summary="List decisions",
    tags=["decisions"],
    operation_class=_FilteredPage,
    responses=_BAD,
)
async def list_decisions(request: _Request, session: NamedDependency[AsyncSession]) -> DecisionPage:
    """What was decided, newest first. A decision is here within a second or so."""
    found = await found_decisions(session, given_filters(request))

    def link(cursor: str | None) -> str | None:
        query = found.query
        return None if cursor is None else f"{_PATH}/?{query}{'&' if query else ''}cursor={cursor}"

    return DecisionPage(link(found.older), link(found.newer), found.decisions)


@route(
    f"{_PATH}/export",
    http_method=_READ,
    summary="Export decisions",
    tags=["decisions"],
    operation_class=_Filtered,
    media_type="application/jsonl",
    responses={
        **_BAD,
        200: ResponseSpec(DecisionView, description="A decision on each line", media_type="application/jsonl"),
    },
)
async def export_decisions(request: _Request) -> Stream:
    """All decisions that fit, oldest first, as JSON Lines: those made until now."""
    services = services_of(request.app)
    wanted = _wanted(given_filters(request))

    async def lines() -> AsyncIterator[bytes]:
        async with aclosing(logged.everything(services.sessions, wanted)) as pages:
            # Not anext's own default, under which Python 3.11 raises SystemError at the end.
            with suppress(StopAsyncIteration):
                while True:
                    rows = await shielded(anext(pages))
                    yield b"".join(json_line(row.id, row.record) for row in rows)

    headers = {"Content-Disposition": 'attachment; filename="decisions.jsonl"', "Cache-Control": "no-store"}
    return Stream(lines(), media_type="application/jsonl", headers=headers)


@route(f"{_PATH}/health", http_method=_READ, summary="How the decision log fares", tags=["decisions"])
async def decision_log_health(request: _Request) -> Response[Health]:
    """What became of the decisions of this process since it started."""
    services = services_of(request.app)
    log = services.decision_log
    return Response(log.health, headers={"Cache-Control": "no-store"})


ROUTES = [list_decisions, export_decisions, decision_log_health]


async def found_decisions(
    session: AsyncSession, given: Mapping[str, str], except_door: str | None = None
) -> DecisionResults:
    """The page that filters and a `cursor` ask for, without the decisions of one door. Raises Problem 400."""
    filters = {name: text for name, text in given.items() if name != "cursor"}
    wanted = replace(_wanted(filters), except_door=except_door)
    query = urlencode(sorted(filters.items()))
    beside = read_log_cursor(given["cursor"], query) if "cursor" in given else None
    page = await logged.page(
        session,
        wanted,
        size=PAGE_SIZE,
        older_than=beside.mark if beside and beside.side == "older" else None,
        newer_than=beside.mark if beside and beside.side == "newer" else None,
    )
    newest, oldest = _edges(page, beside)
    latest = write_log_cursor(DecisionsAround("newer", newest), query)
    return DecisionResults(
        query,
        [view(row.id, row.record) for row in page.rows],
        older=write_log_cursor(DecisionsAround("older", oldest), query) if page.more_older else None,
        newer=latest if page.more_newer else None,
        latest=latest,
    )


def given_filters(request: _Request) -> dict[str, str]:
    """The query. Raises Problem 400 for a name that stands there twice."""
    given: dict[str, str] = {}
    twice = []
    for name, value in request.query_params.multi_items():
        if name in given:
            twice.append({"field": clean(name, 40), "message": "stands here twice"})
        given[name] = value
    if twice:
        raise Problem(400, INVALID, twice)
    return given


def _wanted(given: Mapping[str, str]) -> DecisionFilter:
    try:
        return read(given, datetime.now(UTC))
    except BadFilter as bad:
        errors = [{"field": name, "message": message} for name, message in bad.errors.items()]
        raise Problem(400, INVALID, errors) from None


def _edges(page: logged.DecisionRows, beside: DecisionsAround | None) -> tuple[LogPosition, LogPosition]:
    """The marks at both ends of a page; of an empty one, those around where it would have been."""
    if page.rows:
        return page.rows[0].position, page.rows[-1].position
    at = beside.mark if beside else LogPosition(0, 0)
    if beside and beside.side == "older":
        return LogPosition(at.at, at.id - 1), at
    return at, LogPosition(at.at, at.id + 1)

"""The decision log, newest first: filtered and paged as in the API, live while a viewer is connected."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

import msgspec
from litestar import Response
from litestar.enums import MediaType

from app.audit.decision_filter import FILTERS
from app.console.page import long_page, may_open, render
from app.db import absent_decisions
from app.db.absent_decisions import AbsentDecisions
from app.http.api.decisions import DecisionResults, found_decisions
from app.http.wire.filters import given_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.problems import Problem
from app.services import AnyRequest

PATH = "/console/decisions"
_SIMULATOR = "/console/policy/simulator"
OWN_DOOR = "console"  # left out, since a live page polls and would mostly show its own requests
_OWN_TOO = "console"
_LABELS = {
    "subject": "Subject",
    "key_id": "Key number",
    "client": "App",
    "route": "Route",
    "action": "Method",
    "verdict": "Verdict",
    "revision": "Revision",
    "request_id": "Request id",
    "since": "Since",
    "until": "Until",
}


@get_or_head(PATH)
async def decisions(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show a page of decisions. An invalid filter has its error at its field."""
    errors: Mapping[str, str] = {}
    found: DecisionResults | None = None
    absent: AbsentDecisions | None = None
    given: dict[str, str] = {}
    door: str | None = OWN_DOOR
    try:
        given, door = _given(request)
        found = await found_decisions(session, given, door)
        absent = await absent_decisions.count(session, found.decision_filter.since, found.decision_filter.until)
    except Problem as problem:
        errors = {error["field"]: error["message"] for error in problem.errors} or {"": problem.detail}
    filters = {name: text for name, text in given.items() if name in FILTERS}
    return await long_page(
        request,
        "decisions.html",
        status=400 if errors else 200,
        labels=_LABELS,
        own_too=door is None,
        hints=FILTERS,
        filters=filters,
        advanced=door is None
        or any(name in filters or name in errors for name in ("client", "revision", "request_id", "since", "until")),
        errors=errors,
        found=found,
        absent=absent,
        decisions=found.decisions if found else [],
        is_newest="cursor" not in given,
        links=_links(found, {**filters, **({} if door else {_OWN_TOO: "yes"})}),
        may_explain=may_open(request, _SIMULATOR),
    )


@get_or_head(f"{PATH}/newer")
async def newer(request: AnyRequest, session: RequestSession) -> Response[bytes]:
    """Return the rows newer than a cursor, for the script that keeps the page live."""
    found = await found_decisions(session, *_given(request))
    rows = render("decision_rows.html", decisions=found.decisions, may_explain=may_open(request, _SIMULATOR))
    document = {"rows": rows, "count": len(found.decisions), "cursor": found.latest, "more": found.newer is not None}
    return Response(msgspec.json.encode(document), media_type=MediaType.JSON, headers={"Cache-Control": "no-store"})


ROUTES = (decisions, newer)


def _given(request: AnyRequest) -> tuple[dict[str, str], str | None]:
    """The filters, without empty fields of the form, and the door that is left out. Raises Problem 400."""
    given = {name: text.strip() for name, text in given_filters(request).items() if text.strip()}
    return given, None if given.pop(_OWN_TOO, "") else OWN_DOOR


def _links(found: DecisionResults | None, filters: Mapping[str, str]) -> dict[str, str]:
    """The links of a page, and the address at which its script polls."""
    if found is None:
        return {}

    def to(cursor: str | None, path: str = PATH) -> str:
        return f"{path}?{urlencode({**filters, 'cursor': cursor} if cursor else filters)}"

    links = {"newest": to(None), "live": to(found.latest, f"{PATH}/newer")}
    if found.older:
        links["older"] = to(found.older)
    if found.newer:
        links["newer"] = to(found.newer)
    return links

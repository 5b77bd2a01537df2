"""The admin log, newest first: filtered and paged as in the API."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from litestar import Response

from app.audit.admin_log import ACTIONS, ADMIN_FILTERS
from app.console.page import long_page, may_open
from app.http.api.admin_actions import AdminActionPage, found_admin_actions
from app.http.wire.filters import given_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.problems import Problem
from app.services import AnyRequest

PATH = "/console/admin-actions"
PAGE_SIZE = 50
_LABELS = {
    "action": "Act",
    "actor": "Who",
    "target": "Target",
    "since": "Since",
    "until": "Until",
    "request_id": "Request id",
}
_GROUPS = {
    "policy": "Everything about the policy",
    "key": "Everything about keys",
    "session": "Everything about sessions",
    "app": "Everything about apps",
}
_DOORS = {"api": "API", "console": "console", "cli": "command line", "files": "policy files", "server": "server"}


@get_or_head(PATH)
async def list_actions(request: AnyRequest, session: RequestSession) -> Response[str]:
    """Show the admin log. An invalid filter has its error at its field."""
    errors: Mapping[str, str] = {}
    found: AdminActionPage | None = None
    given: dict[str, str] = {}
    try:
        # An empty field of the form is no filter.
        given = {name: text.strip() for name, text in given_filters(request).items() if text.strip()}
        found = await found_admin_actions(session, given, PAGE_SIZE)
    except Problem as problem:
        errors = {error["field"]: error["message"] for error in problem.errors} or {"": problem.detail}
    filters = {name: text for name, text in given.items() if name in ADMIN_FILTERS}

    def address(**changed: str) -> str:
        return f"{PATH}?{urlencode({**filters, **changed})}"

    return await long_page(
        request,
        "admin_actions.html",
        status=400 if errors else 200,
        labels=_LABELS,
        hints=ADMIN_FILTERS,
        groups=_GROUPS,
        names=ACTIONS,
        doors=_DOORS,
        filters=filters,
        errors=errors,
        found=found,
        newest=address() if "cursor" in given else None,
        older=address(cursor=found.older) if found and found.older else None,
        only=lambda **chosen: f"{PATH}?{urlencode(chosen)}",
        may_open_history=may_open(request, "/console/policy/history/{revision}"),
    )


ROUTES = (list_actions,)

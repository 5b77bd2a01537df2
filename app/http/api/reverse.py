"""The API of reverse queries: what a caller can access, who can access a resource, and which scopes a key uses."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Annotated
from urllib.parse import urlencode

from litestar import Response
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import QueryParameter

from app.db.usage import usage_since
from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.filters import check_filters
from app.http.wire.handlers import RequestSession, get_or_head
from app.http.wire.problems import InvalidBody, Problem, detail_spec
from app.http.wire.sliced_json import sliced_response
from app.keys.known_key import KeyState, known_key
from app.keys.reaching import KeyHolder, reaching
from app.policy.analysis.reach import AppWay, Holder, ReachedView, WayIn, app_ways, holders, reach, ways_in
from app.policy.analysis.usage import ScopeUse
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.target import NoSuchTarget, Target, find_target
from app.policy.language.caller import read_caller
from app.policy.language.endpoint import Endpoint, endpoint_fault
from app.policy.language.grants import stated_fault
from app.policy.language.row_view import RowView
from app.services import AnyRequest, services_of

PATH = "/api/v1/policies"
PAGE_SIZE = 100
_BAD = {400: ResponseSpec(InvalidBody, description="The query is invalid, or a parameter of it is unknown")}
_NO_KEY = {**_BAD, 404: detail_spec("No such key", "API key not found.")}
_KEY = QueryParameter(ge=1, le=2**63 - 1, description="The id of an API key.")
_Grants = Annotated[str | None, QueryParameter(max_length=8_000, description="What is held, separated by spaces.")]
_Cursor = Annotated[str | None, QueryParameter(description="From `next` of a page; the first without it.")]
_Action = Annotated[str, QueryParameter(max_length=200, description="A method, or an action with a thing.")]
_Resource = Annotated[
    str, QueryParameter(max_length=2048, description="A path such as /v1/orders/7, a route template or a thing.")
]


@dataclass(frozen=True, slots=True)
class ReachPage:
    """The accessible resources, with their actions. There are none if `key` is refused."""

    revision: str
    key: KeyState | None
    next: str | None
    results: list[ReachedView]


@dataclass(frozen=True, slots=True)
class WhoPage:
    """The callers with access; `apps` are the scopes for apps whose users have access.

    `denied_by` are rows that may deny it again; `keys` are paginated by id."""

    revision: str
    action: str
    resource: str
    ways: list[WayIn]
    holders: list[Holder]
    apps: list[AppWay]
    denied_by: list[RowView]
    keys: list[KeyHolder]
    next: str | None


@dataclass(frozen=True, slots=True)
class UsageView:
    """The scopes of a key that were used since a time. `sufficient_scopes` are narrower scopes that are enough.

    The log starts at `logged_since` and keeps the share `sample` of allowed requests: if it is less than 1, an `unused`
    scope may have been used. `no_longer_allowed` are requests that were allowed and are denied now.
    """

    key: KeyState
    since: datetime
    logged_since: datetime | None
    sample: float
    used: tuple[ScopeUse, ...]
    unused: tuple[str, ...]
    sufficient_scopes: tuple[str, ...]
    no_longer_allowed: tuple[Endpoint, ...]


@get_or_head(f"{PATH}/reach", summary="What grants or a key reach", tags=["policies"], responses=_NO_KEY)
async def list_reachable_resources(
    request: AnyRequest,
    grants: _Grants = None,
    key_id: Annotated[int | None, _KEY] = None,
    cursor: _Cursor = None,
) -> ReachPage:
    """All that these grants, or a key with its current grants, may do. Send one of `grants` and `key_id`."""
    check_filters(request, "grants", "key_id")
    services = services_of(request.app)
    snapshot = services.live.active
    key: KeyState | None = None
    if (grants is None) is (key_id is None):
        raise Problem(400, "Send one of `grants` and `key_id`.")
    if key_id is not None:
        key, principal = await known_key(services.sessions, snapshot, key_id, services.settings.key_environments)
        held, query = principal.held, urlencode({"key_id": key_id})
    else:
        stated = (grants or "").split()
        if fault := stated_fault(stated, snapshot.policy.catalog, snapshot.policy.memberships):
            raise Problem(400, f"{fault[0][0].upper()}{fault[0][1:]}: {fault[1]}.")
        held, query = read_caller(stated), urlencode({"grants": grants})
    found = [] if key and key.refused else await asyncio.to_thread(lambda: list(reach(snapshot, held)))
    # A position in the list is valid for one policy only.
    listing = _listing(f"{snapshot.revision} {query}")
    start = read_cursor(cursor, listing).after if cursor is not None else 0
    end = start + PAGE_SIZE
    link = (
        f"{PATH}/reach/?{query}&cursor={write_cursor(CursorPosition(after=end), listing)}" if end < len(found) else None
    )
    results = [each.view for each in found[start:end]]
    return ReachPage(snapshot.revision, key, link, results)


@get_or_head(f"{PATH}/who", summary="Who reaches something", tags=["policies"], responses=_BAD)
async def list_permitted_callers(
    request: AnyRequest, action: _Action, resource: _Resource, cursor: _Cursor = None
) -> Response[WhoPage]:
    """The grants that suffice, and the roles, users and keys that have them."""
    check_filters(request, "action", "resource")
    services = services_of(request.app)
    snapshot = services.live.active
    target = _target(snapshot, action, resource)
    rules = snapshot.rules_for(target.resource, action)
    query = urlencode({"action": action, "resource": resource})
    listing = _listing(query)
    start = read_cursor(cursor, listing).after if cursor is not None else 0
    keys, after = await reaching(
        services.sessions,
        snapshot,
        rules,
        environments=services.settings.key_environments,
        now=datetime.now(UTC),
        after=start,
    )
    ways, held, apps = await asyncio.to_thread(
        lambda: (ways_in(snapshot, rules), holders(snapshot, rules), app_ways(snapshot, rules))
    )
    # Rows may name any number of users, so the response may be long.
    answer = WhoPage(
        revision=snapshot.revision,
        action=action,
        resource=target.resource,
        ways=ways,
        holders=held,
        apps=apps,
        denied_by=[rule.view for rule in rules if rule.effect == "deny"],
        keys=keys,
        next=None
        if after is None
        else f"{PATH}/who/?{query}&cursor={write_cursor(CursorPosition(after=after), listing)}",
    )
    return await sliced_response(answer)


@get_or_head(f"{PATH}/usage", summary="Which scopes a key uses", tags=["policies"], responses=_NO_KEY)
async def retrieve_api_key_usage(
    request: AnyRequest,
    session: RequestSession,
    key_id: Annotated[int, _KEY],
    days: Annotated[int, QueryParameter(ge=1, le=3650, description="How many days back.")] = 30,
) -> UsageView:
    """The scopes that allowed requests needed, the unused ones, and narrower scopes that are enough."""
    check_filters(request, "key_id", "days", beside=())
    services = services_of(request.app)
    snapshot = services.live.active
    key, principal = await known_key(services.sessions, snapshot, key_id, services.settings.key_environments)
    since = datetime.now(UTC) - timedelta(days=days)
    found, began = await usage_since(session, snapshot, principal.held, key.scopes, key_id=key_id, since=since)
    return UsageView(
        key=key,
        since=since,
        logged_since=began,
        sample=services.settings.decision_log_sample,
        used=found.used,
        unused=found.unused,
        sufficient_scopes=found.sufficient_scopes,
        no_longer_allowed=found.no_longer_allowed,
    )


ROUTES = (list_reachable_resources, list_permitted_callers, retrieve_api_key_usage)


def _target(snapshot: Snapshot, action: str, resource: str) -> Target:
    if fault := endpoint_fault(action, resource):
        raise Problem(400, f"{fault[0][0].upper()}{fault[0][1:]}: {fault[1]}.")
    try:
        return find_target(snapshot.table, snapshot.index, action, resource)
    except NoSuchTarget as error:
        message = f"{error.message[0].upper()}{error.message[1:]}"
        raise Problem(400, f"{message}; {error.answer}. {error.hint}") from None


def _listing(query: str) -> str:
    return sha256(query.encode()).hexdigest()[:16]

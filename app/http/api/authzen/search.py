"""AuthZEN's searches: which subjects, resources or actions an evaluation would answer with true."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import msgspec
from litestar import MediaType, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.response.base import ASGIResponse
from msgspec import UNSET, Struct, UnsetType

from app.http.api.authzen import described
from app.http.api.authzen.budget import check_search
from app.http.api.authzen.evaluate import Evaluator, keys_of
from app.http.api.authzen.page import CandidateSource, limit_of, query_digest, read_token, walk, write_token
from app.http.api.authzen.wire import (
    NOTHING,
    ActionSearch,
    RequestedEntity,
    RequestedPage,
    ResourceSearch,
    SubjectSearch,
    acted,
    lacking,
    named,
    read,
    sought,
)
from app.http.wire.ids import read_id
from app.http.wire.problems import Detail, Problem
from app.identity.api_keys import KeyRecord
from app.keys import subjects as asked_keys
from app.policy.engine.candidates import names_after
from app.policy.engine.resolved_subject import KEY_TYPE, USER_TYPES, Keys, ResolvedSubject
from app.policy.engine.snapshot import Snapshot
from app.services import AnyRequest, Services, services_of

SUBJECT = "/access/v1/search/subject"
RESOURCE = "/access/v1/search/resource"
ACTION = "/access/v1/search/action"
_SUBJECT, _RESOURCE = msgspec.json.Decoder(SubjectSearch), msgspec.json.Decoder(ResourceSearch)
_ACTION = msgspec.json.Decoder(ActionSearch)
_ENCODER = msgspec.json.Encoder()
_REFUSED = {400: ResponseSpec(Detail, description="The body is invalid", generate_examples=False)}


class FoundEntity(Struct, frozen=True):
    """A subject or resource."""

    type: str
    id: str


class FoundAction(Struct, frozen=True):
    """An action."""

    name: str


class NextPage(Struct, frozen=True):
    """Where to go on; `next_token` is empty at the end."""

    next_token: str


class EntityResults(Struct, frozen=True):
    """Subjects or resources; `page` is there when it was asked for, and when there are more."""

    results: list[FoundEntity]
    page: NextPage | UnsetType = UNSET


class ActionResults(Struct, frozen=True):
    """Actions; `page` is there when it was asked for, and when there are more."""

    results: list[FoundAction]
    page: NextPage | UnsetType = UNSET


@post(
    SUBJECT,
    status_code=200,
    summary="Search for subjects (AuthZEN)",
    tags=["authzen"],
    operation_class=described.search("subject"),
    responses={200: ResponseSpec(EntityResults, description="Who may"), **_REFUSED},
)
async def search_subject(request: AnyRequest) -> ASGIResponse:
    """Who of a type may do an action on a resource, of those whom the policy and the database name."""
    services = services_of(request.app)
    body = await read(request, _SUBJECT)
    _whole(subject=body.subject, action=body.action, resource=body.resource)
    kind, sent = sought(body.subject)
    action, resource, context = acted(body.action), named(body.resource), body.context or NOTHING
    records: dict[str, KeyRecord] = {}
    check_search(body.subject, body.action, body.resource, body.context)
    shared = ("action", "resource", "context")
    evaluator = Evaluator(services.live.active, Keys(records, services.settings.key_environments), shared=shared)

    def allowed(identity: str) -> bool:
        who = evaluator.known(kind, identity, sent)
        return not isinstance(who, str) and evaluator.allows(who, action, resource, context)

    asked = ("subject", kind, sent, action, resource, context)
    sources = _subjects(services, evaluator.snapshot, kind, records)
    results, page = await _found(request, body.page, asked, sources, allowed)
    return _json(EntityResults([FoundEntity(kind, identity) for identity in results], page))


@post(
    RESOURCE,
    status_code=200,
    summary="Search for resources (AuthZEN)",
    tags=["authzen"],
    operation_class=described.search("resource"),
    responses={200: ResponseSpec(EntityResults, description="On what they may"), **_REFUSED},
)
async def search_resource(request: AnyRequest) -> ASGIResponse:
    """On which resources of a type a subject may do an action, of those that the policy names."""
    services = services_of(request.app)
    body = await read(request, _RESOURCE)
    _whole(subject=body.subject, action=body.action, resource=body.resource)
    kind, sent = sought(body.resource)
    check_search(body.resource, body.subject, body.action, body.context)
    action, context = acted(body.action), body.context or NOTHING
    evaluator, who = await _who(body.subject, services, ("subject", "action", "context"))

    def allowed(identity: str) -> bool:
        return not isinstance(who, str) and evaluator.allows(who, action, (kind, identity, sent), context)

    asked = ("resource", named(body.subject), action, kind, sent, context)
    sources = [_names(evaluator.snapshot.candidates.resources(kind))]
    results, page = await _found(request, body.page, asked, sources, allowed)
    return _json(EntityResults([FoundEntity(kind, identity) for identity in results], page))


@post(
    ACTION,
    status_code=200,
    summary="Search for actions (AuthZEN)",
    tags=["authzen"],
    operation_class=described.search("action"),
    responses={200: ResponseSpec(ActionResults, description="What they may do"), **_REFUSED},
)
async def search_action(request: AnyRequest) -> ASGIResponse:
    """Which actions a subject may do on a resource, of those that rows name; for a route its methods."""
    services = services_of(request.app)
    body = await read(request, _ACTION)
    _whole(subject=body.subject, resource=body.resource)
    check_search(UNSET, body.subject, body.resource, body.context)
    resource, context = named(body.resource), body.context or NOTHING
    evaluator, who = await _who(body.subject, services, ("subject", "resource", "context"))

    def allowed(name: str) -> bool:
        return not isinstance(who, str) and evaluator.allows(who, (name, NOTHING), resource, context)

    kind, identity, _ = resource
    asked = ("action", named(body.subject), resource, context)
    sources = [_names(evaluator.snapshot.candidates.actions(kind, identity))]
    results, page = await _found(request, body.page, asked, sources, allowed)
    return _json(ActionResults([FoundAction(name) for name in results], page))


def _whole(**fields: object) -> None:
    if field := lacking(**fields):
        raise Problem(400, f"`{field}` is missing.")


async def _who(
    subject: RequestedEntity | UnsetType, services: Services, shared: tuple[str, ...]
) -> tuple[Evaluator, ResolvedSubject | str]:
    keys = await keys_of(services, (subject,) if isinstance(subject, RequestedEntity) else ())
    evaluator = Evaluator(services.live.active, keys, shared=shared)
    return evaluator, evaluator.known(*named(subject))


async def _found(
    request: AnyRequest,
    page: RequestedPage | UnsetType,
    asked: tuple[object, ...],
    sources: Sequence[CandidateSource],
    allowed: Callable[[str], bool],
) -> tuple[list[str], NextPage | UnsetType]:
    """The allowed of one page, and what to say of the next. Raises Problem."""
    query = query_digest(asked)
    wanted = page or RequestedPage()
    start, limit = read_token(wanted.token, query), limit_of(wanted)
    work = services_of(request.app).long_work
    async with work.turn(request.user.subject):
        found = await walk(sources, start, limit, allowed, work.give_way)
    is_told = page is not UNSET or found.next is not None
    return found.ids, NextPage(write_token(found.next, query)) if is_told else UNSET


def _names(names: Sequence[str]) -> CandidateSource:
    async def fetch(after: str, limit: int) -> Sequence[str]:
        return names_after(names, after, limit)

    return CandidateSource(fetch)


def _subjects(
    services: Services, snapshot: Snapshot, kind: str, records: dict[str, KeyRecord]
) -> list[CandidateSource]:
    """Where subjects of a type come from; `records` is kept filled with what is known of the keys at hand."""

    async def keys(after: str, limit: int) -> Sequence[str]:
        found = await asked_keys.active(
            services.sessions,
            environments=services.settings.key_environments,
            now=datetime.now(UTC),
            after=read_id(after) or 0,
            limit=limit,
        )
        records.clear()
        records.update({str(record.id): record for record in found})
        return list(records)

    async def owners(after: str, limit: int) -> Sequence[str]:
        return await asked_keys.owners(services.sessions, after=after, limit=limit)

    if kind == KEY_TYPE:
        return [CandidateSource(keys)]
    if kind not in USER_TYPES:
        return [_names(snapshot.candidates.subjects(kind))]
    users = snapshot.candidates.subjects("user")
    return [_names(users), CandidateSource(owners, frozenset(users))]


def _json(content: Struct) -> ASGIResponse:
    return ASGIResponse(body=_ENCODER.encode(content), media_type=MediaType.JSON)

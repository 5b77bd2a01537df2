"""AuthZEN's search APIs: the subjects, resources or actions for which an evaluation would be true."""

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
from app.http.api.authzen.evaluate import Evaluator, stored_subjects
from app.http.api.authzen.page import CandidateSource, find_allowed, limit_of, query_digest, read_token, write_token
from app.http.api.authzen.wire import (
    NOTHING,
    ActionSearch,
    RequestedEntity,
    RequestedPage,
    ResourceSearch,
    SubjectSearch,
    action_parts,
    entity_parts,
    missing_field,
    read,
    type_parts,
)
from app.http.wire.ids import read_id
from app.http.wire.problems import Problem, detail_spec
from app.identity.api_keys import KeyRecord
from app.keys import subjects as key_subjects
from app.policy.engine.candidates import names_after
from app.policy.engine.resolved_subject import KEY_TYPE, USER_TYPES, ResolvedSubject, StoredSubjects
from app.policy.engine.snapshot import Snapshot
from app.services import AnyRequest, Services, services_of

SUBJECT = "/access/v1/search/subject"
RESOURCE = "/access/v1/search/resource"
ACTION = "/access/v1/search/action"
_SUBJECT, _RESOURCE = msgspec.json.Decoder(SubjectSearch), msgspec.json.Decoder(ResourceSearch)
_ACTION = msgspec.json.Decoder(ActionSearch)
_ENCODER = msgspec.json.Encoder()
_REFUSED = {400: detail_spec("The body is invalid", "The request body is not valid JSON.")}


class FoundEntity(Struct, frozen=True):
    """A subject or resource."""

    type: str
    id: str


class FoundAction(Struct, frozen=True):
    """An action."""

    name: str


class NextPage(Struct, frozen=True):
    """The next page; `next_token` is empty at the end."""

    next_token: str


class EntityResults(Struct, frozen=True):
    """Subjects or resources; with `page` if the request has it, or if there are more."""

    results: list[FoundEntity]
    page: NextPage | UnsetType = UNSET


class ActionResults(Struct, frozen=True):
    """Actions; with `page` if the request has it, or if there are more."""

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
async def search_subjects(request: AnyRequest) -> ASGIResponse:
    """The subjects of a type that may do an action on a resource, of those in the policy and the database."""
    services = services_of(request.app)
    body = await read(request, _SUBJECT)
    _check_complete(subject=body.subject, action=body.action, resource=body.resource)
    kind, sent = type_parts(body.subject)
    action, resource, context = action_parts(body.action), entity_parts(body.resource), body.context or NOTHING
    records: dict[str, KeyRecord] = {}
    check_search(body.subject, body.action, body.resource, body.context)
    shared = ("action", "resource", "context")
    evaluator = Evaluator(
        services.live.active, StoredSubjects(records, services.settings.key_environments), shared=shared
    )

    def allowed(identity: str) -> bool:
        subject = evaluator.resolve(kind, identity, sent)
        return not isinstance(subject, str) and evaluator.allows(subject, action, resource, context)

    query = ("subject", kind, sent, action, resource, context)
    sources = _subjects(services, evaluator.snapshot, kind, records)
    results, page = await _find_page(request, body.page, query, sources, allowed)
    return _json(EntityResults([FoundEntity(kind, identity) for identity in results], page))


@post(
    RESOURCE,
    status_code=200,
    summary="Search for resources (AuthZEN)",
    tags=["authzen"],
    operation_class=described.search("resource"),
    responses={200: ResponseSpec(EntityResults, description="On what they may"), **_REFUSED},
)
async def search_resources(request: AnyRequest) -> ASGIResponse:
    """The resources of a type on which a subject may do an action, of those in the policy."""
    services = services_of(request.app)
    body = await read(request, _RESOURCE)
    _check_complete(subject=body.subject, action=body.action, resource=body.resource)
    kind, sent = type_parts(body.resource)
    check_search(body.resource, body.subject, body.action, body.context)
    action, context = action_parts(body.action), body.context or NOTHING
    evaluator, subject = await _evaluator_and_subject(body.subject, services, ("subject", "action", "context"))

    def allowed(identity: str) -> bool:
        return not isinstance(subject, str) and evaluator.allows(subject, action, (kind, identity, sent), context)

    query = ("resource", entity_parts(body.subject), action, kind, sent, context)
    sources = [_names(evaluator.snapshot.candidates.resources(kind))]
    results, page = await _find_page(request, body.page, query, sources, allowed)
    return _json(EntityResults([FoundEntity(kind, identity) for identity in results], page))


@post(
    ACTION,
    status_code=200,
    summary="Search for actions (AuthZEN)",
    tags=["authzen"],
    operation_class=described.search("action"),
    responses={200: ResponseSpec(ActionResults, description="What they may do"), **_REFUSED},
)
async def search_actions(request: AnyRequest) -> ASGIResponse:
    """The actions that a subject may do on a resource, of those in rows, or of the methods of a route."""
    services = services_of(request.app)
    body = await read(request, _ACTION)
    _check_complete(subject=body.subject, resource=body.resource)
    check_search(UNSET, body.subject, body.resource, body.context)
    resource, context = entity_parts(body.resource), body.context or NOTHING
    evaluator, subject = await _evaluator_and_subject(body.subject, services, ("subject", "resource", "context"))

    def allowed(name: str) -> bool:
        return not isinstance(subject, str) and evaluator.allows(subject, (name, NOTHING), resource, context)

    kind, identity, _ = resource
    query = ("action", entity_parts(body.subject), resource, context)
    sources = [_names(evaluator.snapshot.candidates.actions(kind, identity))]
    results, page = await _find_page(request, body.page, query, sources, allowed)
    return _json(ActionResults([FoundAction(name) for name in results], page))


def _check_complete(**fields: object) -> None:
    if field := missing_field(**fields):
        raise Problem(400, f"`{field}` is missing.")


async def _evaluator_and_subject(
    subject: RequestedEntity | UnsetType, services: Services, shared: tuple[str, ...]
) -> tuple[Evaluator, ResolvedSubject | str]:
    stored = await stored_subjects(services, (subject,) if isinstance(subject, RequestedEntity) else ())
    evaluator = Evaluator(services.live.active, stored, shared=shared)
    return evaluator, evaluator.resolve(*entity_parts(subject))


async def _find_page(
    request: AnyRequest,
    page: RequestedPage | UnsetType,
    query: tuple[object, ...],
    sources: Sequence[CandidateSource],
    allowed: Callable[[str], bool],
) -> tuple[list[str], NextPage | UnsetType]:
    """The allowed candidates of a page, and the token of the next page. Raises Problem."""
    digest = query_digest(query)
    requested = page or RequestedPage()
    start, limit = read_token(requested.token, digest), limit_of(requested)
    work = services_of(request.app).long_work
    async with work.turn(request.user.subject):
        found = await find_allowed(sources, start, limit, allowed, work.give_way)
    has_page = page is not UNSET or found.next is not None
    return found.ids, NextPage(write_token(found.next, digest)) if has_page else UNSET


def _names(names: Sequence[str]) -> CandidateSource:
    async def fetch(after: str, limit: int) -> Sequence[str]:
        return names_after(names, after, limit)

    return CandidateSource(fetch)


def _subjects(
    services: Services, snapshot: Snapshot, kind: str, records: dict[str, KeyRecord]
) -> list[CandidateSource]:
    """The sources of subjects of a type; `records` always has the keys of the current batch."""

    async def keys(after: str, limit: int) -> Sequence[str]:
        found = await key_subjects.active(
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
        return await key_subjects.owners(services.sessions, after=after, limit=limit)

    if kind == KEY_TYPE:
        return [CandidateSource(keys)]
    if kind not in USER_TYPES:
        return [_names(snapshot.candidates.subjects(kind))]
    users = snapshot.candidates.subjects("user")
    return [_names(users), CandidateSource(owners, frozenset(users))]


def _json(content: Struct) -> ASGIResponse:
    return ASGIResponse(body=_ENCODER.encode(content), media_type=MediaType.JSON)

"""The API of the policy history: publish, roll back, and show revisions."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

import structlog
from litestar import MediaType, Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter, QueryParameter
from litestar.serialization import encode_json
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError

from app.audit.actor import Actor
from app.db import revisions
from app.db.availability import RETRY_AFTER_SECONDS, UNAVAILABLE, error_name
from app.db.retry import was_undone
from app.history.acknowledgements import Acknowledgements, Unacknowledged
from app.history.entry_view import EntryWithFiles, History, entry_view
from app.history.publish import PolicyChange
from app.history.published import Published
from app.history.published_view import PublishedPolicy, published_view, sentence
from app.history.refusals import NoSuchRevision, StaleParent
from app.http.api.actors import requesting_actor
from app.http.api.replicas import Wait, wait_for_replicas
from app.http.wire.change_fields import Message, Reason
from app.http.wire.cursors import CursorPosition, read_cursor, write_cursor
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.json_body import only_json
from app.http.wire.page_size import limit_size
from app.http.wire.problems import Problem, detail_spec
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.access_view import AccessChangeView, AccessSummary, access_of, summary_of
from app.policy.analysis.case_report import CaseReport
from app.policy.language.fault import PolicyRefused
from app.policy.language.fault_view import FaultView, fault_views
from app.policy.language.source import encode
from app.policy.language.write import PolicyNotWritten
from app.services import Services, services_of

PATH = "/api/v1/policies"
UNANSWERED = "The database does not answer: check later in the history whether the policy was stored."
PAGE_SIZE = 50
MAX_FILES_BYTES = 40_000_000
_log = structlog.stdlib.get_logger("policy")
_Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
_RevisionInPath = Annotated[
    str, PathParameter(description="The revision, 16 hexadecimal digits.", schema_extra={"pattern": "^[0-9a-f]{16}$"})
]
_Cursor = Annotated[str | None, QueryParameter(description="From `next` of a page; the first without it.")]


class Publish(BaseModel):
    """A policy to publish: all its files by name, and the revision that it is based on."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[dict[str, str], Field(min_length=1, max_length=500)]
    parent: _Revision
    message: Annotated[Message, Field(min_length=1)]
    acknowledge_widening: bool = False
    acknowledge_fewer_publishers: bool = False
    accept_failing_cases: Reason = ""
    dry_run: bool = False


class Rollback(BaseModel):
    """An earlier revision to activate, and the revision that is active now."""

    model_config = ConfigDict(extra="forbid")

    revision: _Revision
    parent: _Revision
    message: Message = ""
    acknowledge_widening: bool = False
    acknowledge_fewer_publishers: bool = False
    accept_failing_cases: Reason = ""


@dataclass(frozen=True, slots=True)
class NotPublished:
    """Why a policy was not published: faults, another active revision, or a change that must be acknowledged."""

    detail: str
    active: str
    faults: list[FaultView]
    summary: list[AccessSummary]
    access: list[AccessChangeView]
    cases: CaseReport | None


_NOT_PUBLISHED: Mapping[int, ResponseSpec] = {
    409: ResponseSpec(
        NotPublished,
        description=(
            "Another revision is active, access would widen or no known caller could publish, unacknowledged, or cases "
            "fail or were removed"
        ),
    ),
    422: ResponseSpec(NotPublished, description="The policy has faults"),
}


@post(
    f"{PATH}/publish",
    status_code=200,
    before_request=only_json,
    request_max_body_size=MAX_FILES_BYTES,
    summary="Publish a policy",
    tags=["policies"],
    responses=_NOT_PUBLISHED,
)
async def publish_policy(
    data: JSONBody[Publish], request: AllowedRequest, wait: Wait = None
) -> PublishedPolicy | Response[NotPublished]:
    """Check a policy, store it as a revision and activate it. With `dry_run` nothing changes.

    With `wait`, `replicas` lists the processes that serve it.
    """
    services = services_of(request.app)
    change = _change(data, requesting_actor(request), dry_run=data.dry_run)
    publication = services.publisher.publish(encode(data.files), change)
    return await _outcome(publication, services, None if data.dry_run else wait)


@post(
    f"{PATH}/rollback",
    status_code=200,
    before_request=only_json,
    summary="Roll back to an earlier policy",
    tags=["policies"],
    responses={**_NOT_PUBLISHED, 404: detail_spec("No such revision", "Revision not found.")},
)
async def roll_back_policy(
    data: JSONBody[Rollback], request: AllowedRequest, wait: Wait = None
) -> PublishedPolicy | Response[NotPublished]:
    """Activate an earlier revision again; it is checked like any other policy.

    With `wait`, `replicas` lists the processes that serve it.
    """
    services = services_of(request.app)
    change = _change(data, requesting_actor(request))
    return await _outcome(services.publisher.rollback(data.revision, change), services, wait)


@get_or_head(f"{PATH}/history", summary="List accepted policies", tags=["policies"])
async def list_policy_revisions(session: RequestSession, cursor: _Cursor = None) -> History:
    """All policies that were active, newest first. Pages of very large changes have fewer entries."""
    listing = f"{PATH}/history/"
    before = read_cursor(cursor, listing).before if cursor is not None else None
    rows = await revisions.page(session, before=before, limit=PAGE_SIZE + 1)
    shown = limit_size(rows[:PAGE_SIZE], lambda row: sum(map(len, row.changes)))
    more = len(rows) > len(shown)
    following = f"{listing}?cursor={write_cursor(CursorPosition(before=shown[-1].id), listing)}" if more else None
    return History(following, [entry_view(row) for row in shown])


@get_or_head(
    f"{PATH}/history/{{revision:str}}",
    summary="Show an accepted policy",
    tags=["policies"],
    responses={404: detail_spec("No such revision", "Revision not found.")},
)
async def retrieve_policy_revision(revision: _RevisionInPath, session: RequestSession) -> Response[EntryWithFiles]:
    """The files of a revision, and its last entry in the history."""
    row = await revisions.find(session, revision)
    if row is None:
        raise Problem(404, "Revision not found.")
    # The files may have 48 MB. They are stored as JSON, which is sent without decoding it.
    files = await asyncio.to_thread(revisions.files_json, row)
    body = b'{"entry":%b,"files":%b}' % (encode_json(entry_view(row)), files)
    return Response(cast(Any, body), media_type=MediaType.JSON)


ROUTES = (publish_policy, roll_back_policy, list_policy_revisions, retrieve_policy_revision)


def _change(data: Publish | Rollback, author: Actor, *, dry_run: bool = False) -> PolicyChange:
    meant = Acknowledgements(data.acknowledge_widening, data.acknowledge_fewer_publishers, data.accept_failing_cases)
    return PolicyChange(data.parent, author, data.message, meant, dry_run)


async def _outcome(
    change: Awaitable[Published], services: Services, wait: float | None
) -> PublishedPolicy | Response[NotPublished]:
    try:
        done = await change
    except NoSuchRevision:
        raise Problem(404, "Revision not found.") from None
    except (StaleParent, PolicyRefused, Unacknowledged, PolicyNotWritten) as refused:
        return await asyncio.to_thread(_refused, refused, services)
    except (SQLAlchemyError, OSError) as error:
        raise _unanswered(error) from error
    replicas = None if wait is None else await wait_for_replicas(services, wait)
    return await asyncio.to_thread(published_view, done, replicas)


def _unanswered(error: Exception) -> Problem:
    if isinstance(error, SQLAlchemyError) and was_undone(error):
        _log.error("the database undid the change of the policy", error=error_name(error))
        return Problem(503, UNAVAILABLE, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})
    _log.error("the database does not answer; whether the policy was stored is not known", error=type(error).__name__)
    return Problem(503, UNANSWERED, headers={"Retry-After": "5"})


def _refused(
    refused: StaleParent | PolicyRefused | Unacknowledged | PolicyNotWritten, services: Services
) -> Response[NotPublished]:
    active = services.live.active.revision
    status, faults = 409, list[FaultView]()
    difference, cases = AccessDiff(()), None
    if isinstance(refused, PolicyRefused):
        status, faults = 422, fault_views(refused.faults)
        detail = f"The policy has {len(faults)} fault{'s' if len(faults) > 1 else ''}."
    elif isinstance(refused, Unacknowledged):
        difference, cases, detail = refused.difference, refused.cases, " ".join(_doubts(refused))
    elif isinstance(refused, StaleParent):
        detail = "The active revision is not the one that this change is based on."
    else:
        detail = f"{sentence(str(refused))}."
    return Response(
        NotPublished(detail, active, faults, summary_of(difference), access_of(difference), cases), status_code=status
    )


def _doubts(refused: Unacknowledged) -> Iterator[str]:
    """The messages about what must be acknowledged, with the name of the field."""
    if refused.replaces:
        yield (
            f"The newest policy, {refused.replaces}, cannot be loaded here, so it is unknown whether this one widens "
            "access: to replace it, confirm with `acknowledge_widening`."
        )
    elif refused.widens:
        yield "This policy widens access: look at `access`, then confirm with `acknowledge_widening`."
    if refused.fewer:
        yield f"{sentence(refused.fewer.summary)}: confirm with `acknowledge_fewer_publishers`."
    if refused.cases:
        yield (
            f"{sentence(refused.cases.summary)}: look at `cases`, then correct the policy or its tests, or accept "
            "this with a reason in `accept_failing_cases`."
        )

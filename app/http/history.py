"""The history of the policy over HTTP: publish, go back, and look at what was."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Annotated, Any

import structlog
from litestar import Request, Response, post, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody, QueryParameter
from msgspec import UNSET, UnsetType
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import revisions
from app.db.tables.history import PolicyRevision
from app.history.fleet import Waited
from app.history.publish import Author, NoSuchRevision, Published, Publisher, StaleParent, Widens
from app.http.cursor import Place, read_cursor, write_cursor
from app.http.json_body import NO_NUL, only_json
from app.http.policies import FaultView, fault_views
from app.http.problems import Detail, Problem
from app.http.replicas import Wait, waited_for
from app.identity.principal import Principal
from app.policy.change_words import told
from app.policy.decision import Decision
from app.policy.fault import PolicyRefused
from app.policy.semantic_diff import Difference
from app.policy.write import CannotWrite

PATH = "/api/v1/policies"
UNANSWERED = "The database does not answer: look at the history, once it does, whether the policy was stored."
PAGE_SIZE = 50
MAX_FILES_BYTES = 40_000_000
_log = structlog.stdlib.get_logger("policy")
_READ = [HttpMethod.GET, HttpMethod.HEAD]
_Request = Request[Principal, Decision, State]
_Session = NamedDependency[AsyncSession]
_Message = Annotated[str, Field(max_length=2000, pattern=NO_NUL)]
_Revision = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
_Cursor = Annotated[str | None, QueryParameter(description="From `next` of a page; the first without it.")]


class Publish(BaseModel):
    """A policy to make active: every file of it, by name, and the revision that it was made from."""

    model_config = ConfigDict(extra="forbid")

    files: Annotated[dict[str, str], Field(min_length=1, max_length=500)]
    parent: _Revision
    message: Annotated[_Message, Field(min_length=1)]
    acknowledge_widening: bool = False
    dry_run: bool = False


class Rollback(BaseModel):
    """An earlier revision to go back to, and the one that is active now."""

    model_config = ConfigDict(extra="forbid")

    revision: _Revision
    parent: _Revision
    message: _Message = ""
    acknowledge_widening: bool = False


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Access that somebody gains or loses; `may` when a condition decides."""

    kind: str
    may: bool
    resource: str
    actions: list[str]
    text: str


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """The revision that is active now, or with `dry_run` would be, and what changes by it."""

    revision: str
    parent: str
    widens: bool
    access: list[AccessChange]
    rows: list[str]
    # A factory, for a default would stand in the document of the API, which cannot show it.
    replicas: Waited | UnsetType = field(default_factory=lambda: UNSET)


@dataclass(frozen=True, slots=True)
class NotPublished:
    """Why the policy was not taken: its faults, another active revision, or access that would widen."""

    detail: str
    active: str
    faults: list[FaultView]
    access: list[AccessChange]


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted policy. `kind` is `publish`, `rollback` or, for files that were edited in place, `files`."""

    id: int
    revision: str
    parent_id: int | None
    kind: str
    author: str
    message: str
    widens: bool
    created_at: datetime
    changes: list[str]


@dataclass(frozen=True, slots=True)
class History:
    """Entries, newest first."""

    next: str | None
    results: list[Entry]


@dataclass(frozen=True, slots=True)
class EntryWithFiles:
    """An accepted policy and its files."""

    entry: Entry
    files: dict[str, str]


_NOT_PUBLISHED: Mapping[int, ResponseSpec] = {
    409: ResponseSpec(NotPublished, description="Another revision is active, or access would widen unacknowledged"),
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
async def publish(
    data: JSONBody[Publish], request: _Request, state: State, wait: Wait = None
) -> PublishedPolicy | Response[NotPublished]:
    """Check a policy, store it as a revision and make it active. With `dry_run` nothing changes.

    With `wait`, `replicas` says who serves it.
    """
    publisher: Publisher = state.publisher
    files = {name: text.encode("utf-8", "surrogatepass") for name, text in data.files.items()}
    try:
        done = await publisher.publish(
            files,
            parent=data.parent,
            author=author_of(request),
            message=data.message,
            acknowledge_widening=data.acknowledge_widening,
            dry_run=data.dry_run,
        )
    except (StaleParent, PolicyRefused, Widens, CannotWrite) as refused:
        return _refused(refused, state)
    except (SQLAlchemyError, OSError) as error:
        raise _unanswered(error) from error
    return _published(done, UNSET if wait is None or data.dry_run else await waited_for(state, wait))


@post(
    f"{PATH}/rollback",
    status_code=200,
    before_request=only_json,
    summary="Go back to an earlier policy",
    tags=["policies"],
    responses={**_NOT_PUBLISHED, 404: ResponseSpec(Detail, description="No such revision")},
)
async def rollback(
    data: JSONBody[Rollback], request: _Request, state: State, wait: Wait = None
) -> PublishedPolicy | Response[NotPublished]:
    """Make an earlier revision active again; it is checked like any other.

    With `wait`, `replicas` says who serves it.
    """
    publisher: Publisher = state.publisher
    try:
        done = await publisher.rollback(
            data.revision,
            parent=data.parent,
            author=author_of(request),
            message=data.message,
            acknowledge_widening=data.acknowledge_widening,
        )
    except NoSuchRevision:
        raise Problem(404, "Revision not found.") from None
    except (StaleParent, PolicyRefused, Widens, CannotWrite) as refused:
        return _refused(refused, state)
    except (SQLAlchemyError, OSError) as error:
        raise _unanswered(error) from error
    return _published(done, UNSET if wait is None else await waited_for(state, wait))


@route(f"{PATH}/history", http_method=_READ, summary="List accepted policies", tags=["policies"])
async def list_history(session: _Session, cursor: _Cursor = None) -> History:
    """Every policy that was active, newest first."""
    listing = f"{PATH}/history/"
    before = read_cursor(cursor, listing).before if cursor is not None else None
    rows = await revisions.page(session, before=before, limit=PAGE_SIZE + 1)
    more = len(rows) > PAGE_SIZE
    shown = rows[:PAGE_SIZE]
    following = f"{listing}?cursor={write_cursor(Place(before=shown[-1].id), listing)}" if more else None
    return History(following, [_entry(row) for row in shown])


@route(
    f"{PATH}/history/{{revision:str}}",
    http_method=_READ,
    summary="Show an accepted policy",
    tags=["policies"],
    responses={404: ResponseSpec(Detail, description="No such revision")},
)
async def show_revision(revision: FromPath[str], session: _Session) -> EntryWithFiles:
    """The files of a revision and how it came to be, the last time that it did."""
    row = await revisions.find(session, revision)
    if row is None:
        raise Problem(404, "Revision not found.")
    return EntryWithFiles(_entry(row), revisions.files_of(row))


ROUTES = (publish, rollback, list_history, show_revision)


def _unanswered(error: Exception) -> Problem:
    _log.error("the database does not answer; whether the policy was stored is not known", error=type(error).__name__)
    return Problem(503, UNANSWERED, headers={"Retry-After": "5"})


def author_of(request: Request[Any, Any, Any]) -> Author:
    """Who sends the request, as the author of a change."""
    principal: Principal = request.user
    return Author(principal.subject, principal.key_id)


def _published(done: Published, replicas: Waited | UnsetType) -> PublishedPolicy:
    access = access_of(done.difference)
    return PublishedPolicy(done.revision, done.parent, done.difference.widens, access, list(done.rows), replicas)


def _refused(refused: StaleParent | PolicyRefused | Widens | CannotWrite, state: State) -> Response[NotPublished]:
    active: str = state.live.active.revision
    status, faults, access = 409, list[FaultView](), list[AccessChange]()
    if isinstance(refused, PolicyRefused):
        status, faults = 422, fault_views(refused.faults)
        detail = f"The policy has {len(faults)} fault{'s' if len(faults) > 1 else ''}."
    elif isinstance(refused, Widens):
        access = access_of(refused.difference)
        detail = "This policy widens access: look at `access`, then send `acknowledge_widening`."
        if refused.replaces:
            detail = (
                f"The newest policy, {refused.replaces}, cannot be taken here, so nobody can tell whether this one "
                "widens access: if it shall be replaced, send `acknowledge_widening`."
            )
    elif isinstance(refused, StaleParent):
        detail = "Another revision is active than the one that this change was made from."
    else:
        detail = f"{str(refused)[:1].upper()}{str(refused)[1:]}."
    return Response(NotPublished(detail, active, faults, access), status_code=status)


def access_of(difference: Difference) -> list[AccessChange]:
    """What a difference means, in words, what cannot be told first."""
    found = [
        AccessChange(change.kind, change.may, change.resource, list(change.actions), told(change))
        for change in difference.changes
    ]
    unknown = [
        AccessChange("gain", True, resource, [action], f"{action} {resource}  has too many rows to tell")
        for resource, action in difference.unknown
    ]
    return [*unknown, *found]


def _entry(row: PolicyRevision) -> Entry:
    return Entry(
        row.id,
        row.revision,
        row.parent_id,
        row.kind,
        row.author,
        row.message,
        row.widens,
        row.created_at,
        list(row.changes),
    )

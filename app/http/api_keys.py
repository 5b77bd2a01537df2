"""API keys over HTTP: a signed-in person issues, lists and revokes their own.

That only people manage keys is a row of the policy; whose keys they are is decided here, for it is data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import Request, Response, post, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import FromPath, JSONBody
from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.db import api_keys as stored
from app.db.tables.fields import Moment, Name
from app.db.tables.keys import ApiKey
from app.http.ids import read_id
from app.http.json_body import only_json
from app.http.problems import INVALID_BODY, Detail, InvalidBody, Problem
from app.http.refusal import FORBIDDEN
from app.identity.api_keys import mint
from app.identity.principal import Principal
from app.policy.decision import Decision
from app.policy.live import LivePolicy

WARNING = "Store this token now — it will not be shown again. If you lose it, revoke this key and issue a new one."
NOT_FOUND = "API key not found."
_READ = [HttpMethod.GET, HttpMethod.HEAD]
_Request = Request[Principal, Decision, State]
_Session = NamedDependency[AsyncSession]


class IssueKey(BaseModel):
    """What a new key shall be."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    environment: Literal["live", "test"] = "live"
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    expires_at: Moment | None = None


@dataclass(frozen=True, slots=True)
class KeyView:
    """A key as its owner sees it: never its plaintext."""

    id: int
    name: str
    environment: str
    key_prefix: str
    scopes: list[str]
    created_at: datetime
    last_used_at: datetime | None
    expires_at: datetime | None
    revoked_at: datetime | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its plaintext, shown this once."""

    api_key: KeyView
    plaintext: str
    warning: str = WARNING


_NOT_FOUND_SPEC: Mapping[int, ResponseSpec] = {404: ResponseSpec(Detail, description="No such key of yours")}


@post(
    "/api/v1/api-keys",
    status_code=201,
    before_request=only_json,
    summary="Issue an API key",
    tags=["api keys"],
    responses={400: ResponseSpec(InvalidBody, description="The body is invalid")},
)
async def issue_key(
    data: JSONBody[IssueKey], request: _Request, state: State, session: _Session
) -> Response[IssuedKey]:
    """The plaintext is in this answer and nowhere else. A key never holds more than whoever issues it."""
    now = datetime.now(UTC)
    _check(data, state, now)
    live: LivePolicy = state.live
    beyond = sorted(set(data.scopes) - live.active.effective(request.user.held))
    if beyond:
        _, challenge = state.refusals.insufficient_scope(tuple(beyond))
        raise Problem(403, FORBIDDEN, headers={"WWW-Authenticate": challenge.decode()})
    new = mint(data.environment)
    row = await stored.insert(
        session,
        subject=request.user.subject,
        name=data.name,
        new=new,
        scopes=data.scopes,
        now=now,
        expires_at=data.expires_at,
    )
    await session.commit()
    return Response(IssuedKey(_view(row, now), new.plaintext), headers={"Cache-Control": "no-store"})


@route("/api/v1/api-keys", http_method=_READ, summary="List your API keys", tags=["api keys"])
async def list_keys(request: _Request, session: _Session) -> list[KeyView]:
    """Your own keys, newest first."""
    now = datetime.now(UTC)
    return [_view(row, now) for row in await stored.list_for(session, request.user.subject)]


@route(
    "/api/v1/api-keys/{key_id:str}",
    http_method=_READ,
    summary="Show one of your API keys",
    tags=["api keys"],
    responses=_NOT_FOUND_SPEC,
)
async def show_key(key_id: FromPath[str], request: _Request, session: _Session) -> KeyView:
    """Another's key looks just like none."""
    row = await stored.get_for(session, request.user.subject, _id(key_id))
    if row is None:
        raise Problem(404, NOT_FOUND)
    return _view(row, datetime.now(UTC))


@post(
    "/api/v1/api-keys/{key_id:str}/revoke",
    status_code=200,
    summary="Revoke one of your API keys",
    tags=["api keys"],
    responses=_NOT_FOUND_SPEC,
)
async def revoke_key(key_id: FromPath[str], request: _Request, state: State, session: _Session) -> KeyView:
    """The next request with that key is refused. Revoking again changes nothing."""
    now = datetime.now(UTC)
    row = await stored.revoke(session, request.user.subject, _id(key_id), now)
    if row is None:
        raise Problem(404, NOT_FOUND)
    await session.commit()
    state.verifier.forget(row.id)
    return _view(row, now)


ROUTES = [issue_key, list_keys, show_key, revoke_key]


def _id(spelled: str) -> int:
    key_id = read_id(spelled)
    if key_id is None:
        raise Problem(404, NOT_FOUND)
    return key_id


def _check(data: JSONBody[IssueKey], state: State, now: datetime) -> None:
    """What a schema cannot know. Raises Problem with every error."""
    errors: list[Mapping[str, str]] = []
    live: LivePolicy = state.live
    for scope in data.scopes:
        if scope not in live.active.policy.catalog:
            errors.append({"field": "scopes", "message": f"`{scope}` is not a permission of the catalogue"})
    if len(set(data.scopes)) < len(data.scopes):
        errors.append({"field": "scopes", "message": "a permission stands here twice"})
    if data.environment not in state.key_environments:
        errors.append({"field": "environment", "message": f"keys for {data.environment} are not taken here"})
    if data.expires_at is not None and data.expires_at <= now:
        errors.append({"field": "expires_at", "message": "must be in the future"})
    if errors:
        raise Problem(400, INVALID_BODY, errors)


def _view(row: ApiKey, now: datetime) -> KeyView:
    expired = row.expires_at is not None and row.expires_at <= now
    return KeyView(
        id=row.id,
        name=row.name,
        environment=row.environment,
        key_prefix=row.key_prefix,
        scopes=list(row.scopes),
        created_at=row.created_at,
        last_used_at=row.last_used_at,
        expires_at=row.expires_at,
        revoked_at=row.revoked_at,
        is_active=row.revoked_at is None and not expired,
    )

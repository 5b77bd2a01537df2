"""The API of a user's own keys: issue, list, rotate and revoke.

A row of the policy allows only signed-in users; the handlers limit each user to their own keys.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal, TypeVar

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from pydantic import BaseModel, ConfigDict, Field

from app.db.tables.fields import INTEGER, Moment, Name
from app.http.api.actors import requesting_actor
from app.http.door.budgets import TOO_MANY
from app.http.door.long_work import in_turn
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.ids import id_of, read_id
from app.http.wire.json_body import json_or_nothing, only_json
from app.http.wire.link import LINK, Cursor, link_after, read_before
from app.http.wire.operations import OptionalBodyOperation
from app.http.wire.page_size import limit_size
from app.http.wire.problems import InvalidBody, detail_spec
from app.keys import api_keys as stored
from app.keys.issuer import KeyOrder
from app.keys.owner import KeyOwner, personal
from app.keys.refusals import NOT_FOUND
from app.keys.view import KeyView, ViewedKey, view_of
from app.services import services_of

WARNING = "Store this token now — it will not be shown again. If you lose it, revoke this key and issue a new one."
PAGE_SIZE = 100
GRACE_SECONDS = 86_400
MAX_GRACE_SECONDS = 30 * 86_400
_PATH = "/api/v1/api-keys"
KeyId = Annotated[str, id_of("the API key")]
_T = TypeVar("_T")


class IssueKey(BaseModel):
    """The properties of a new key."""

    model_config = ConfigDict(extra="forbid")

    name: Name
    environment: Literal["live", "test"] = "live"
    scopes: Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=200)] = []
    expires_at: Moment | None = None

    def order(self) -> KeyOrder:
        """What is to be issued."""
        return KeyOrder(self.name, self.environment, self.scopes, self.expires_at)


class RotateKey(BaseModel):
    """For how many seconds the old and the new key are both accepted."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: Annotated[int, Field(ge=0, le=MAX_GRACE_SECONDS), INTEGER] = GRACE_SECONDS


@dataclass(frozen=True, slots=True)
class IssuedKey:
    """A new key with its plaintext, which is shown only once."""

    api_key: KeyView
    plaintext: str
    warning: str = WARNING


@dataclass(frozen=True, slots=True)
class RotatedKey:
    """A new key with its plaintext, which is shown only once, and the key that it replaces."""

    api_key: KeyView
    plaintext: str
    old_api_key: KeyView
    warning: str = WARNING


_NOT_FOUND_SPEC: Mapping[int, ResponseSpec] = {404: detail_spec("No such key of yours", NOT_FOUND)}

TOO_MANY_SPEC = detail_spec("Too many new keys within a minute: wait as long as `Retry-After` says", TOO_MANY)


@post(
    _PATH,
    status_code=201,
    before_request=only_json,
    summary="Issue an API key",
    tags=["api keys"],
    responses={
        400: ResponseSpec(InvalidBody, description="The body is invalid"),
        409: detail_spec(
            "You have as many active keys as an owner may have",
            "You have 25 active API keys, the most that an owner may have: revoke one first.",
        ),
        429: TOO_MANY_SPEC,
    },
)
async def issue_api_key(
    data: JSONBody[IssueKey], request: AllowedRequest, session: RequestSession
) -> Response[IssuedKey]:
    """The plaintext is only in this response. A key never has more permissions than its issuer."""
    owner, now = personal(request.user), datetime.now(UTC)
    issuer = services_of(request.app).key_issuer
    new = await issuer.issue(session, owner, data.order(), now, by=requesting_actor(request))
    return show_once(IssuedKey(view_of(new.key, now), new.plaintext))


@get_or_head(
    _PATH,
    middleware=[in_turn],
    summary="List your API keys",
    tags=["api keys"],
    responses={400: detail_spec("The cursor is invalid", "The cursor is invalid: use the one in `Link` as it is.")},
    response_headers=[LINK],
)
async def list_api_keys(
    request: AllowedRequest, session: RequestSession, cursor: Cursor = None
) -> Response[list[KeyView]]:
    """Your own keys, newest first, at most 100. If there are more, `Link` has the next page (RFC 8288)."""
    return await page_of_keys(request, session, personal(request.user), _PATH, cursor, view=view_of)


@get_or_head(
    f"{_PATH}/{{key_id:str}}",
    summary="Show one of your API keys",
    tags=["api keys"],
    responses=_NOT_FOUND_SPEC,
)
async def retrieve_api_key(key_id: KeyId, request: AllowedRequest, session: RequestSession) -> KeyView:
    """A key of another user is not found, like one that does not exist."""
    row = await stored.own_key(session, request.user.subject, read_id(key_id))
    return view_of(row, datetime.now(UTC))


@post(
    f"{_PATH}/{{key_id:str}}/revoke",
    status_code=200,
    summary="Revoke one of your API keys",
    tags=["api keys"],
    responses=_NOT_FOUND_SPEC,
)
async def revoke_api_key(key_id: KeyId, request: AllowedRequest, session: RequestSession) -> KeyView:
    """The next request with that key is refused. Revoking again changes nothing."""
    owner, by, now = personal(request.user), requesting_actor(request), datetime.now(UTC)
    row = await services_of(request.app).key_issuer.revoke(session, owner, read_id(key_id), now=now, by=by)
    return view_of(row, now)


@post(
    f"{_PATH}/{{key_id:str}}/rotate",
    status_code=201,
    before_request=json_or_nothing,
    operation_class=OptionalBodyOperation,
    summary="Rotate one of your API keys",
    tags=["api keys"],
    responses={
        **_NOT_FOUND_SPEC,
        400: ResponseSpec(InvalidBody, description="The body is invalid"),
        409: detail_spec(
            "The key is revoked, expired or already rotated, or has a scope that does not exist any more; or you have "
            "as many rotated keys that are still valid as an owner may have",
            "This key has expired, so it has no successor: issue a new key.",
        ),
        429: TOO_MANY_SPEC,
    },
)
async def rotate_api_key(
    key_id: KeyId,
    request: AllowedRequest,
    session: RequestSession,
    data: JSONBody[RotateKey | None] = None,
) -> Response[RotatedKey]:
    """Issue a new key with the name, environment and scopes of the old one, which stays valid for `grace_seconds`.

    After that, or at its own expiry if that is earlier, the old key expires. The new key has the same lifetime as the
    old one was issued with, or none. A key is rotated once; after that the error names its successor. An owner who no
    longer has the scopes of a key cannot rotate it.
    """
    owner, now = personal(request.user), datetime.now(UTC)
    grace, by = (data or RotateKey()).grace_seconds, requesting_actor(request)
    issuer = services_of(request.app).key_issuer
    new, old = await issuer.rotate(session, owner, read_id(key_id), grace_seconds=grace, now=now, by=by)
    return show_once(RotatedKey(view_of(new.key, now), new.plaintext, view_of(old, now)))


ROUTES = [issue_api_key, list_api_keys, retrieve_api_key, revoke_api_key, rotate_api_key]


async def page_of_keys(
    request: AllowedRequest,
    session: RequestSession,
    owner: KeyOwner,
    path: str,
    cursor: str | None,
    *,
    view: Callable[[ViewedKey, datetime], _T],
) -> Response[list[_T]]:
    """A page of the keys of an owner, with a link to the next one below `path`. Raises Problem 400."""
    now = datetime.now(UTC)
    rows = await stored.page_for(session, owner.subject, before=read_before(cursor, path), limit=PAGE_SIZE + 1)
    shown = limit_size(rows[:PAGE_SIZE], lambda row: sum(map(len, row.scopes)))
    headers = link_after(services_of(request.app), path, shown, rows)
    return Response([view(row, now) for row in shown], headers=headers)


def show_once(answer: _T) -> Response[_T]:
    """A response with the plaintext of a key, which no cache stores."""
    return Response(answer, headers={"Cache-Control": "no-store"})

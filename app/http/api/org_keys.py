"""The API of the keys of an organization: issue, list, rotate and revoke.

A row of the policy allows only members of the organization in the path who may manage its keys; the handlers limit each
to the organization that its token states. Such a key is not ended by what happens to the person who issued it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated
from urllib.parse import quote

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter

from app.http.api.actors import requesting_actor
from app.http.api.api_keys import (
    TOO_MANY_SPEC,
    IssuedKey,
    IssueKey,
    KeyId,
    RotatedKey,
    RotateKey,
    page_of_keys,
    show_once,
)
from app.http.door.long_work import in_turn
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.ids import read_id
from app.http.wire.json_body import json_or_nothing, only_json
from app.http.wire.link import LINK, Cursor
from app.http.wire.operations import OptionalBodyOperation
from app.http.wire.problems import Detail, InvalidBody
from app.identity.org_facts import MAX_ORG_NAME
from app.keys import api_keys as stored
from app.keys.owner import organization_of
from app.keys.view import OrganizationKeyView, organization_view_of
from app.services import services_of

PATH = "/api/v1/orgs/{org_id:str}/api-keys"
_TAG = "api keys"
_OrgId = Annotated[
    str,
    PathParameter(
        description="The id of the organization that the caller is signed in to.",
        # As the policy takes it, without the `/` that a path must not encode.
        schema_extra={"minLength": 1, "maxLength": MAX_ORG_NAME, "pattern": "^[A-Za-z0-9][A-Za-z0-9_.:@~+=-]*$"},
    ),
]


@dataclass(frozen=True, slots=True)
class IssuedOrganizationKey(IssuedKey):
    """A new key of an organization with its plaintext, which is shown only once."""

    api_key: OrganizationKeyView


@dataclass(frozen=True, slots=True)
class RotatedOrganizationKey(RotatedKey):
    """A new key of an organization with its plaintext, which is shown only once, and the key that it replaces."""

    api_key: OrganizationKeyView
    old_api_key: OrganizationKeyView


_NOT_FOUND_SPEC: Mapping[int, ResponseSpec] = {
    404: ResponseSpec(Detail, description="The organization has no such key")
}


@post(
    PATH,
    status_code=201,
    before_request=only_json,
    summary="Issue an API key of your organization",
    tags=[_TAG],
    responses={
        400: ResponseSpec(InvalidBody, description="The body is invalid"),
        409: ResponseSpec(Detail, description="The organization has as many active keys as an owner may have"),
        429: TOO_MANY_SPEC,
    },
)
async def issue_organization_api_key(
    org_id: _OrgId, data: JSONBody[IssueKey], request: AllowedRequest, session: RequestSession
) -> Response[IssuedOrganizationKey]:
    """The plaintext is only in this response. A key never has more than you have in the organization.

    What role rows of the policy give you in it, they must go on giving for the key to have it. The key stays when you
    leave.
    """
    owner, now = organization_of(request.user, org_id), datetime.now(UTC)
    issuer = services_of(request.app).key_issuer
    new = await issuer.issue(session, owner, data.order(), now, by=requesting_actor(request))
    return show_once(IssuedOrganizationKey(organization_view_of(new.key, now), new.plaintext))


@get_or_head(
    PATH,
    middleware=[in_turn],
    summary="List the API keys of your organization",
    tags=[_TAG],
    responses={400: ResponseSpec(Detail, description="The cursor is invalid")},
    response_headers=[LINK],
)
async def list_organization_api_keys(
    org_id: _OrgId, request: AllowedRequest, session: RequestSession, cursor: Cursor = None
) -> Response[list[OrganizationKeyView]]:
    """The organization's keys, newest first, at most 100. If there are more, `Link` has the next page (RFC 8288)."""
    owner, path = organization_of(request.user, org_id), PATH.replace("{org_id:str}", quote(org_id, safe=""))
    return await page_of_keys(request, session, owner, path, cursor, view=organization_view_of)


@get_or_head(
    f"{PATH}/{{key_id:str}}",
    summary="Show an API key of your organization",
    tags=[_TAG],
    responses=_NOT_FOUND_SPEC,
)
async def retrieve_organization_api_key(
    org_id: _OrgId, key_id: KeyId, request: AllowedRequest, session: RequestSession
) -> OrganizationKeyView:
    """A key of another owner is not found, like one that does not exist."""
    owner = organization_of(request.user, org_id)
    row = await stored.own_key(session, owner.subject, read_id(key_id))
    return organization_view_of(row, datetime.now(UTC))


@post(
    f"{PATH}/{{key_id:str}}/revoke",
    status_code=200,
    summary="Revoke an API key of your organization",
    tags=[_TAG],
    responses=_NOT_FOUND_SPEC,
)
async def revoke_organization_api_key(
    org_id: _OrgId, key_id: KeyId, request: AllowedRequest, session: RequestSession
) -> OrganizationKeyView:
    """The next request with that key is refused, also if another member issued it. Revoking again changes nothing."""
    owner, by, now = organization_of(request.user, org_id), requesting_actor(request), datetime.now(UTC)
    row = await services_of(request.app).key_issuer.revoke(session, owner, read_id(key_id), now=now, by=by)
    return organization_view_of(row, now)


@post(
    f"{PATH}/{{key_id:str}}/rotate",
    status_code=201,
    before_request=json_or_nothing,
    operation_class=OptionalBodyOperation,
    summary="Rotate an API key of your organization",
    tags=[_TAG],
    responses={
        **_NOT_FOUND_SPEC,
        400: ResponseSpec(InvalidBody, description="The body is invalid"),
        409: ResponseSpec(
            Detail,
            description="The key is revoked, expired or already rotated, or has a scope that does not exist any more; "
            "or the organization has as many rotated keys that are still valid as an owner may have",
        ),
        429: TOO_MANY_SPEC,
    },
)
async def rotate_organization_api_key(
    org_id: _OrgId,
    key_id: KeyId,
    request: AllowedRequest,
    session: RequestSession,
    data: JSONBody[RotateKey | None] = None,
) -> Response[RotatedOrganizationKey]:
    """As for your own keys. You need all scopes of the key in the organization, also if another member issued it."""
    owner, now = organization_of(request.user, org_id), datetime.now(UTC)
    grace, by = (data or RotateKey()).grace_seconds, requesting_actor(request)
    issuer = services_of(request.app).key_issuer
    new, old = await issuer.rotate(session, owner, read_id(key_id), grace_seconds=grace, now=now, by=by)
    view, old_view = organization_view_of(new.key, now), organization_view_of(old, now)
    return show_once(RotatedOrganizationKey(view, new.plaintext, old_view))


ROUTES = [
    issue_organization_api_key,
    list_organization_api_keys,
    retrieve_organization_api_key,
    revoke_organization_api_key,
    rotate_organization_api_key,
]

"""The API to block a person, for example one who leaves: named in the path, or in the body where a path cannot."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody, PathParameter
from pydantic import BaseModel, ConfigDict, Field

from app.http.api.actors import requesting_actor
from app.http.wire.handlers import AllowedRequest, RequestSession
from app.http.wire.json_body import only_json
from app.http.wire.problems import InvalidBody, Problem, detail_spec, invalid
from app.oauth import people_blocks
from app.oauth.people_blocks import MAX_SUBJECT, BlockedPerson, subject_fault
from app.services import services_of

PEOPLE = "/api/v1/oauth/people"
PATH = f"{PEOPLE}/{{sub:str}}"
_TAG = "apps"
_Sub = Annotated[
    str,
    PathParameter(
        description="The `sub` of the person.",
        schema_extra={"minLength": 1, "maxLength": MAX_SUBJECT},
    ),
]
_INVALID = {400: detail_spec("No user can have this `sub`")}
_INVALID_BODY = {400: ResponseSpec(InvalidBody, description="The body is invalid, or no user can have this `sub`")}


class NamedPerson(BaseModel):
    """A person, by their `sub`: also one with `/`, `;`, `.` and others that a path must not encode."""

    model_config = ConfigDict(extra="forbid")

    sub: Annotated[str, Field(min_length=1, max_length=MAX_SUBJECT)]


@post(f"{PATH}/block", status_code=200, summary="Block a person", tags=[_TAG], responses=_INVALID)
async def block_person(sub: _Sub, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    """End what a person allowed apps, their API keys and their console sessions, and refuse new ones.

    A token that the issuer signed is accepted until it expires: disable the person there first. A `|` is written `%7C`;
    a `sub` with `/` goes in the body of the request without it in the path.
    """
    return await _block(_read(sub), request, session)


@post(f"{PATH}/unblock", status_code=200, summary="Unblock a person", tags=[_TAG], responses=_INVALID)
async def unblock_person(sub: _Sub, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    """Let a person sign in to the console and allow apps again. What the block ended stays ended."""
    return await _unblock(_read(sub), request, session)


@post(
    f"{PEOPLE}/block",
    status_code=200,
    before_request=only_json,
    summary="Block a person named in the body",
    tags=[_TAG],
    responses=_INVALID_BODY,
)
async def block_named_person(
    data: JSONBody[NamedPerson], request: AllowedRequest, session: RequestSession
) -> BlockedPerson:
    """As with the `sub` in the path, for any `sub`."""
    return await _block(_named(data), request, session)


@post(
    f"{PEOPLE}/unblock",
    status_code=200,
    before_request=only_json,
    summary="Unblock a person named in the body",
    tags=[_TAG],
    responses=_INVALID_BODY,
)
async def unblock_named_person(
    data: JSONBody[NamedPerson], request: AllowedRequest, session: RequestSession
) -> BlockedPerson:
    """As with the `sub` in the path, for any `sub`."""
    return await _unblock(_named(data), request, session)


ROUTES = (block_person, unblock_person, block_named_person, unblock_named_person)


async def _block(sub: str, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    blocked = await people_blocks.block_person(session, sub, requesting_actor(request), datetime.now(UTC))
    services = services_of(request.app)
    services.app_tokens.invalidate_all()
    services.verifier.invalidate_all()
    return blocked


async def _unblock(sub: str, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    return await people_blocks.unblock_person(session, sub, requesting_actor(request), datetime.now(UTC))


def _read(sub: str) -> str:
    if fault := subject_fault(sub):
        raise Problem(400, fault)
    return sub


def _named(data: NamedPerson) -> str:
    if fault := subject_fault(data.sub):
        raise invalid({"sub": fault})
    return data.sub

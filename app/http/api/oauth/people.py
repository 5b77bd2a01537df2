"""The API to block a person, for example one who leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import PathParameter

from app.http.api.actors import requesting_actor
from app.http.wire.handlers import AllowedRequest, RequestSession
from app.http.wire.problems import Detail, Problem
from app.oauth import people_blocks
from app.oauth.people_blocks import BlockedPerson
from app.services import services_of

PATH = "/api/v1/oauth/people/{sub:str}"
MAX_SUBJECT = 255
_TAG = "apps"
_Sub = Annotated[
    str,
    PathParameter(
        description="The `sub` of the person.",
        schema_extra={"minLength": 1, "maxLength": MAX_SUBJECT},
    ),
]
_INVALID = {400: ResponseSpec(Detail, description="No user can have this `sub`")}


@post(f"{PATH}/block", status_code=200, summary="Block a person", tags=[_TAG], responses=_INVALID)
async def block_person(sub: _Sub, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    """End what a person allowed apps, their API keys and their console sessions, and refuse new ones.

    A token that the issuer signed is accepted until it expires: disable the person there first.
    """
    blocked = await people_blocks.block_person(session, _read(sub), requesting_actor(request), datetime.now(UTC))
    services = services_of(request.app)
    services.app_tokens.invalidate_all()
    services.verifier.invalidate_all()
    return blocked


@post(f"{PATH}/unblock", status_code=200, summary="Unblock a person", tags=[_TAG], responses=_INVALID)
async def unblock_person(sub: _Sub, request: AllowedRequest, session: RequestSession) -> BlockedPerson:
    """Let a person sign in to the console and allow apps again. What the block ended stays ended."""
    return await people_blocks.unblock_person(session, _read(sub), requesting_actor(request), datetime.now(UTC))


ROUTES = (block_person, unblock_person)


def _read(sub: str) -> str:
    if not 0 < len(sub) <= MAX_SUBJECT or not sub.isprintable():
        raise Problem(400, f"The `sub` of a user has 1 to {MAX_SUBJECT} printable characters.")
    return sub

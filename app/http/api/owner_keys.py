"""The API to revoke all keys of an owner, for example of a user who leaves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from litestar import post
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from pydantic import BaseModel, ConfigDict, Field

from app.http.api.actors import requesting_actor
from app.http.wire.handlers import AllowedRequest, RequestSession
from app.http.wire.json_body import NO_NUL, only_json
from app.http.wire.problems import InvalidBody
from app.keys.revocations import revoke_keys_of
from app.keys.view import RevokedKeys
from app.services import services_of

# Not below /api/v1/api-keys, whose rows allow all signed-in users.
PATH = "/api/v1/all-keys/revoke"


class RevokeKeys(BaseModel):
    """The owner of the keys to revoke, by their `sub`."""

    model_config = ConfigDict(extra="forbid")

    owner: Annotated[str, Field(min_length=1, max_length=512, pattern=NO_NUL)]


@post(
    PATH,
    status_code=200,
    before_request=only_json,
    summary="Revoke all API keys of an owner",
    tags=["api keys"],
    responses={400: ResponseSpec(InvalidBody, description="The body is invalid")},
)
async def revoke_owner_api_keys(
    data: JSONBody[RevokeKeys],
    request: AllowedRequest,
    session: RequestSession,
) -> RevokedKeys:
    """The next request with any of them is refused. Revoking again changes nothing."""
    services = services_of(request.app)
    by = requesting_actor(request)
    revoked = 0
    async for key_id in revoke_keys_of(session, data.owner, by, datetime.now(UTC)):
        services.verifier.invalidate(key_id)
        revoked += 1
    return RevokedKeys(data.owner, revoked)

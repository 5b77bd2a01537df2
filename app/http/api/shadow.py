"""The API of the shadow policy: deploy, show the differences, and withdraw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from litestar import Response, delete, put
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from pydantic import Field

from app.audit.shadow_view import ShadowView, shadow_view
from app.history.shadow_changes import deploy, withdraw
from app.http.api.actors import requesting_actor
from app.http.api.candidate import FAULTY, MAX_FILES_BYTES, Candidate, FaultyPolicy, faulty, snapshot_of
from app.http.wire.change_fields import Message
from app.http.wire.handlers import AllowedRequest, RequestSession, get_or_head
from app.http.wire.json_body import only_json
from app.http.wire.problems import detail_spec
from app.policy.language.fault import PolicyRefused
from app.services import services_of

PATH = "/api/v1/policies/shadow"
_NONE: Mapping[int, ResponseSpec] = {404: detail_spec("No policy is in shadow")}


class ShadowPolicy(Candidate):
    """A policy to deploy in shadow: all its files by name, and a message."""

    message: Annotated[Message, Field(min_length=1)]


@put(
    PATH,
    before_request=only_json,
    request_max_body_size=MAX_FILES_BYTES,
    summary="Deploy a policy in shadow",
    tags=["policies"],
    responses=FAULTY,
)
async def deploy_shadow_policy(
    data: JSONBody[ShadowPolicy], request: AllowedRequest, session: RequestSession
) -> ShadowView | Response[FaultyPolicy]:
    """Compare the decisions of a policy with those of the active policy. Replaces the current shadow policy."""
    services = services_of(request.app)
    try:
        snapshot = await snapshot_of(data.files, services)
    except PolicyRefused as refused:
        return faulty(refused)
    deployed = await deploy(services.shadowing, session, snapshot, data.message, requesting_actor(request))
    return shadow_view(deployed, services.live.active.revision)


@get_or_head(PATH, summary="Show the policy in shadow", tags=["policies"], responses=_NONE)
async def retrieve_shadow_policy(request: AllowedRequest) -> Response[ShadowView]:
    """The number of different decisions, and the most frequent differences."""
    services = services_of(request.app)
    found = shadow_view(services.shadowing.current(), services.live.active.revision)
    return Response(found, headers={"Cache-Control": "no-store"})


@delete(PATH, summary="Withdraw the policy in shadow", tags=["policies"], responses=_NONE)
async def withdraw_shadow_policy(request: AllowedRequest, session: RequestSession) -> None:
    """Stop the comparison, and discard its counts."""
    await withdraw(services_of(request.app).shadowing, session, requesting_actor(request))


ROUTES = (deploy_shadow_policy, retrieve_shadow_policy, withdraw_shadow_policy)

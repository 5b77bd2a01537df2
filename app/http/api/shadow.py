"""The policy in shadow over HTTP: deploy it, see where it would decide differently, withdraw it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Literal

from litestar import Request, Response, delete, put, route
from litestar.datastructures import State
from litestar.di import NamedDependency
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec
from litestar.params import JSONBody
from pydantic import Field
from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.shadowing import DeployedShadow
from app.audit.view import RuleView
from app.db import admin_actions
from app.http.api.actors import requesting_actor
from app.http.api.candidate import FAULTY, MAX_FILES_BYTES, Candidate, FaultyPolicy, faulty, snapshot_of
from app.http.wire.change_fields import Message
from app.http.wire.json_body import only_json
from app.http.wire.problems import Detail, Problem
from app.identity.principal import Principal
from app.policy.analysis.shadow import ShadowDifference
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import PolicyRefused
from app.services import Services, services_of

PATH = "/api/v1/policies/shadow"
MOST = 50  # differences in an answer
_READ = [HttpMethod.GET, HttpMethod.HEAD]
_NONE: Mapping[int, ResponseSpec] = {404: ResponseSpec(Detail, description="No policy is in shadow")}
_Request = Request[Principal, Decision, State]
_Session = NamedDependency[AsyncSession]
_Verdict = Literal["allow", "deny"]


class ShadowPolicy(Candidate):
    """A policy to deploy in shadow: every file of it, by name, and why."""

    message: Annotated[Message, Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class ShadowDifferenceView:
    """What the active policy decided and the shadow would have reversed; `rule` is the shadow's row."""

    action: str
    route: str
    subject: str
    key_id: int | None
    active: _Verdict
    shadow: _Verdict
    reason: str
    rule: RuleView | None
    missing: tuple[str, ...]
    count: int
    last: datetime


@dataclass(frozen=True, slots=True)
class ShadowView:
    """The policy in shadow in the process that answers, and what it differed in since it was deployed there.

    Each decision is counted once: in `compared`, in `not_compared` when the shadow's verdict depends on a condition,
    whose context is not kept, or in `missed` when too many waited or it could not be compared. `differing` of those
    compared differ; `other` of those that differ are beyond the 1,000 differences that are kept apart.
    """

    revision: str
    active: str
    since: datetime
    message: str
    author: str
    compared: int
    differing: int
    not_compared: int
    missed: int
    other: int
    differences: list[ShadowDifferenceView]


@put(
    PATH,
    before_request=only_json,
    request_max_body_size=MAX_FILES_BYTES,
    summary="Deploy a policy in shadow",
    tags=["policies"],
    responses=FAULTY,
)
async def deploy_shadow(
    data: JSONBody[ShadowPolicy], request: _Request, session: _Session
) -> ShadowView | Response[FaultyPolicy]:
    """Compare its decisions with those of the active policy, from now on. It replaces another, and changes nothing."""
    services = services_of(request.app)
    try:
        snapshot = await snapshot_of(data.files, services)
    except PolicyRefused as refused:
        return faulty(refused)
    return shadow_view(await deployed(snapshot, data.message, request, session), services)


@route(PATH, http_method=_READ, summary="Show the policy in shadow", tags=["policies"], responses=_NONE)
async def show_shadow(request: _Request) -> Response[ShadowView]:
    """How often it would have decided differently, and the differences that were met most often."""
    services = services_of(request.app)
    return Response(shadow_view(_deployed(services), services), headers={"Cache-Control": "no-store"})


@delete(PATH, summary="Withdraw the policy in shadow", tags=["policies"], responses=_NONE)
async def withdraw_shadow(request: _Request, session: _Session) -> None:
    """Compare no more; what was counted is gone."""
    await withdrawn(request, session)


ROUTES = (deploy_shadow, show_shadow, withdraw_shadow)


async def deployed(snapshot: Snapshot, message: str, request: _Request, session: AsyncSession) -> DeployedShadow:
    """Deploy a policy in shadow and record who sent the request."""
    shadowing = services_of(request.app).shadowing
    async with shadowing.one_at_a_time:
        replaced = shadowing.deployed.shadow.snapshot.revision if shadowing.deployed else None
        admin_actions.record(
            session,
            requesting_actor(request),
            "policy.shadow",
            snapshot.revision,
            now=datetime.now(UTC),
            message=message,
            details={"replaces": replaced},
        )
        await session.commit()
        return shadowing.deploy(snapshot, message=message, author=request.user.subject)


async def withdrawn(request: _Request, session: AsyncSession) -> None:
    """Withdraw the policy in shadow and record who sent the request. Raises Problem 404 when there is none."""
    shadowing = services_of(request.app).shadowing
    async with shadowing.one_at_a_time:
        revision = _deployed(services_of(request.app)).shadow.snapshot.revision
        by = requesting_actor(request)
        admin_actions.record(session, by, "policy.shadow.withdraw", revision, now=datetime.now(UTC))
        await session.commit()
        shadowing.withdraw()


def _deployed(services: Services) -> DeployedShadow:
    shadowing = services.shadowing
    if shadowing.deployed is None:
        raise Problem(404, "No policy is in shadow.")
    return shadowing.deployed


def shadow_view(deployed: DeployedShadow, services: Services) -> ShadowView:
    """What there is to tell of the policy in shadow."""
    shadow = deployed.shadow
    return ShadowView(
        revision=shadow.snapshot.revision,
        active=services.live.active.revision,
        since=deployed.since,
        message=deployed.message,
        author=deployed.author,
        compared=shadow.compared,
        differing=shadow.differing,
        not_compared=shadow.not_compared,
        missed=deployed.dropped + deployed.failed,
        other=shadow.other,
        differences=[_difference(difference) for difference in shadow.most_frequent(MOST)],
    )


def _difference(difference: ShadowDifference) -> ShadowDifferenceView:
    asked, decision = difference.key, difference.decision
    rule = decision.rule
    return ShadowDifferenceView(
        action=asked.action,
        route=asked.resource,
        subject=asked.who.subject,
        key_id=asked.who.key_id,
        active="allow" if asked.allowed else "deny",
        shadow="allow" if decision else "deny",
        reason=str(decision.reason),
        rule=None if rule is None else RuleView(rule.place, str(rule)),
        missing=decision.missing,
        count=difference.number,
        last=difference.last,
    )

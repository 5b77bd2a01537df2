"""The API of the active policy: show and reload."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from litestar import Response, post
from litestar.openapi.datastructures import ResponseSpec
from msgspec import UNSET, UnsetType

from app.db import admin_actions
from app.history.fleet import FleetProgress
from app.http.api.actors import requesting_actor
from app.http.api.replicas import Wait, wait_for_replicas
from app.http.wire.handlers import RequestSession, get_or_head
from app.policy.analysis.case_report import CaseProblem
from app.policy.engine.live import Reload
from app.policy.engine.snapshot import Snapshot
from app.policy.language.diff import EntryChange
from app.policy.language.fault_view import FaultView, fault_views
from app.services import AnyRequest, services_of


@dataclass(frozen=True, slots=True)
class PolicyFile:
    """A file of the active policy."""

    name: str
    bytes: int
    rules: int


@dataclass(frozen=True, slots=True)
class LastFault:
    """The faults of the last refused policy, until another is accepted."""

    at: datetime
    faults: list[FaultView]


@dataclass(frozen=True, slots=True)
class ActiveCases:
    """The results of the cases of the active policy, with the first `failures`."""

    run: int
    failed: int
    not_run: int
    failures: tuple[CaseProblem, ...]


@dataclass(frozen=True, slots=True)
class ActivePolicy:
    """The active policy. `cases` is null until its cases have run."""

    revision: str
    since: datetime
    rules: int
    files: list[PolicyFile]
    last_fault: LastFault | None
    cases: ActiveCases | None


@dataclass(frozen=True, slots=True)
class ReloadResult:
    """The result of a reload."""

    revision: str
    outcome: Literal["swapped", "unchanged"]
    changed: list[EntryChange]
    # A factory, because the OpenAPI document cannot show the default.
    replicas: FleetProgress | UnsetType = field(default_factory=lambda: UNSET)


@dataclass(frozen=True, slots=True)
class ReloadRefused:
    """The faults of the files; `revision` is the policy that stays active."""

    detail: str
    revision: str
    faults: list[FaultView]


@get_or_head("/api/v1/policies", summary="Show the policy", tags=["policies"])
async def retrieve_policy(request: AnyRequest) -> ActivePolicy:
    """The active revision with its files, and the faults of the last refused policy."""
    services = services_of(request.app)
    live = services.live
    refused = live.refused
    report = services.case_watch.report
    cases = ActiveCases(report.run, report.failed, report.not_run, report.failures) if report else None
    return ActivePolicy(
        revision=live.active.revision,
        since=live.since,
        rules=len(live.active.policy.rules),
        files=files_of(live.active),
        last_fault=LastFault(refused.at, fault_views(refused.faults)) if refused else None,
        cases=cases,
    )


@post(
    "/api/v1/policies/reload",
    status_code=200,
    summary="Reload the policy",
    tags=["policies"],
    responses={422: ResponseSpec(ReloadRefused, description="The files have faults; the old policy stays active")},
)
async def reload_policy(
    request: AnyRequest, session: RequestSession, wait: Wait = None
) -> ReloadResult | Response[ReloadRefused]:
    """Activate the policy in the files. With `wait`, `replicas` lists the processes that serve it."""
    services = services_of(request.app)
    live = services.live

    async def accept(reload: Reload) -> None:
        added = sum(change.kind == "added" for change in reload.changed)
        admin_actions.record(
            session,
            requesting_actor(request),
            "policy.reload",
            reload.revision,
            now=datetime.now(UTC),
            details={"outcome": reload.outcome, "added": added, "removed": len(reload.changed) - added},
        )
        await session.commit()

    reload = await live.reload(accept)
    if reload.outcome == "refused":
        detail = f"The policy has {len(reload.faults)} fault{'s' if len(reload.faults) > 1 else ''}."
        return Response(ReloadRefused(detail, reload.revision, fault_views(reload.faults)), status_code=422)
    replicas = await wait_for_replicas(services, wait) if wait is not None else UNSET
    return ReloadResult(reload.revision, reload.outcome, list(reload.changed), replicas)


def files_of(snapshot: Snapshot) -> list[PolicyFile]:
    """The files of a policy, with their size and number of rules."""
    source = snapshot.policy.source
    counts = dict.fromkeys(source.files, 0)
    for rule in snapshot.policy.rules:
        counts[rule.file] += 1
    return [PolicyFile(name, len(text.encode()), counts[name]) for name, text in source.files.items()]

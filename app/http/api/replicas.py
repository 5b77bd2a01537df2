"""The processes that serve: which revision each has, and how far it is behind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated

from litestar import route
from litestar.enums import HttpMethod
from litestar.params import QueryParameter
from sqlalchemy.exc import SQLAlchemyError

from app.history.fleet import MAX_WAIT_SECONDS, FleetProgress, ReplicaStatus, fleet, until_served
from app.history.replica import beat_seconds
from app.http.wire.problems import Problem
from app.services import AnyRequest, Services, services_of

PATH = "/api/v1/replicas"
UNTOLD = "The policy is active here, but the database does not tell who else serves it."
Wait = Annotated[
    float | None,
    QueryParameter(
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Wait so many seconds at most until every live replica serves the policy, and say which do not.",
    ),
]


@dataclass(frozen=True, slots=True)
class NewestRevision:
    """What every replica should serve."""

    revision: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ReplicaView:
    """A process, as it said `seen_seconds` ago; `live` when it should still be there.

    `lag_revisions` is how many revisions it lacks, `lag_seconds` since when it lacks the first. `refused` says why it
    does not take the newest, `files_lag` why its policy directory does not hold what it serves. `lost` when the
    database does not have what it serves: it was restored, or an edit is not stored yet.
    """

    id: int
    host: str
    pid: int
    version: str
    revision: str
    live: bool
    lag_revisions: int
    lag_seconds: float
    started_at: datetime
    seen_at: datetime
    seen_seconds: float
    refused: str | None
    files_lag: str | None
    lost: bool


@dataclass(frozen=True, slots=True)
class Replicas:
    """The newest revision, and every process that was seen within a day, the longest known first."""

    newest: NewestRevision | None
    results: list[ReplicaView]


@route(PATH, http_method=[HttpMethod.GET, HttpMethod.HEAD], summary="List the replicas", tags=["policies"])
async def list_replicas(request: AnyRequest) -> Replicas:
    """Every process that serves on this database: its revision, its lag, and when it was seen."""
    services = services_of(request.app)
    found = await fleet(services.sessions, beat_seconds(services.settings.database_url))
    newest = NewestRevision(found.newest.revision, found.newest.created_at) if found.newest else None
    return Replicas(newest, [_view(standing) for standing in found.standings])


async def waited_for(services: Services, seconds: float) -> FleetProgress:
    """Wait until every live replica serves what this process does. Raises Problem 503 when that cannot be known."""
    follower = services.follower
    try:
        # A change that came by the files is nowhere else before it is stored.
        await follower.follow()
        return await until_served(services.sessions, follower.at, seconds, beat_seconds(services.settings.database_url))
    except (SQLAlchemyError, OSError):
        raise Problem(503, UNTOLD, headers={"Retry-After": "5"}) from None


def _view(standing: ReplicaStatus) -> ReplicaView:
    row = standing.replica
    return ReplicaView(
        id=row.id,
        host=row.host,
        pid=row.pid,
        version=row.version,
        revision=row.revision,
        live=standing.live,
        lag_revisions=standing.lag_revisions,
        lag_seconds=round(standing.lag_seconds, 3),
        started_at=row.started_at,
        seen_at=row.seen_at,
        seen_seconds=round(standing.seen_seconds, 3),
        refused=row.refused or None,
        files_lag=row.files or None,
        lost=standing.lost,
    )

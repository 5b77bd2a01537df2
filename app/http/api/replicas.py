"""The API of the replicas: the revision of each process, and how far it is behind."""

from __future__ import annotations

from typing import Annotated

from litestar.params import QueryParameter
from sqlalchemy.exc import SQLAlchemyError

from app.history.fleet import MAX_WAIT_SECONDS, Fleet, FleetProgress, fleet, until_served
from app.history.replica import beat_seconds
from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem
from app.services import AnyRequest, Services, services_of

PATH = "/api/v1/replicas"
UNKNOWN_REPLICAS = "The policy is active here, but the database does not answer which other replicas serve it."
Wait = Annotated[
    float | None,
    QueryParameter(
        ge=0,
        le=MAX_WAIT_SECONDS,
        schema_extra={"minimum": 0.0},  # which Litestar leaves out, since it is zero
        description="Wait at most this number of seconds until all live replicas serve the policy.",
    ),
]


@get_or_head(PATH, summary="List the replicas", tags=["policies"])
async def list_replicas(request: AnyRequest) -> Fleet:
    """All processes that use this database: revision, lag, and time of the last heartbeat."""
    services = services_of(request.app)
    return await fleet(services.sessions, beat_seconds(services.settings.database_url))


async def wait_for_replicas(services: Services, seconds: float) -> FleetProgress:
    """Wait until all live replicas serve the policy of this process. Raises Problem 503 if the database fails."""
    follower = services.follower
    try:
        # Store a change of the files first: other replicas read it from the database.
        await follower.follow()
        return await until_served(services.sessions, follower.at, seconds, beat_seconds(services.settings.database_url))
    except (SQLAlchemyError, OSError):
        raise Problem(503, UNKNOWN_REPLICAS, headers={"Retry-After": "5"}) from None

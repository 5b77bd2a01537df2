"""The processes that serve: which revision each has, and how far it is behind."""

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
UNTOLD = "The policy is active here, but the database does not tell who else serves it."
Wait = Annotated[
    float | None,
    QueryParameter(
        ge=0,
        le=MAX_WAIT_SECONDS,
        description="Wait so many seconds at most until every live replica serves the policy, and say which do not.",
    ),
]


@get_or_head(PATH, summary="List the replicas", tags=["policies"])
async def list_replicas(request: AnyRequest) -> Fleet:
    """Every process that serves on this database: its revision, its lag, and when it was seen."""
    services = services_of(request.app)
    return await fleet(services.sessions, beat_seconds(services.settings.database_url))


async def waited_for(services: Services, seconds: float) -> FleetProgress:
    """Wait until every live replica serves what this process does. Raises Problem 503 when that cannot be known."""
    follower = services.follower
    try:
        # A change that came by the files is nowhere else before it is stored.
        await follower.follow()
        return await until_served(services.sessions, follower.at, seconds, beat_seconds(services.settings.database_url))
    except (SQLAlchemyError, OSError):
        raise Problem(503, UNTOLD, headers={"Retry-After": "5"}) from None

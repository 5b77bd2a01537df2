"""What makes the database grow is refused while its disk is almost full: what is left is for ending access."""

from __future__ import annotations

from typing import Any

from litestar import Request

from app.db.disk import RETRY_AFTER_SECONDS
from app.http.wire.json_body import only_json
from app.http.wire.problems import Problem
from app.services import Services, services_of


def check_room(services: Services) -> None:
    """Raises Problem 503 while there is no room for what grows."""
    if why := services.disk.shortage:
        raise Problem(503, why, headers={"Retry-After": str(RETRY_AFTER_SECONDS)})


async def json_where_room(request: Request[Any, Any, Any]) -> None:
    """For `before_request`: as `only_json`, of what makes the database grow."""
    check_room(services_of(request.app))
    await only_json(request)

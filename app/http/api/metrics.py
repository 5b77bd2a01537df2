"""Metrics for Prometheus, ruled by the policy like every other route."""

from __future__ import annotations

from typing import Any

import structlog
from litestar import Request, Response, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec

from app.http.wire.problems import Detail, Problem
from app.services import services_of

UNAVAILABLE = "The metrics of the other workers cannot be had now."
_log = structlog.stdlib.get_logger("metrics")
_TEXT = ResponseSpec(str, description="Prometheus' text format", media_type="text/plain", generate_examples=False)


@route(
    "/metrics",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="Metrics for Prometheus",
    tags=["health"],
    media_type="text/plain",
    responses={200: _TEXT, 503: ResponseSpec(Detail, description="Another worker is in the way")},
)
async def show_metrics(request: Request[Any, Any, State]) -> Response[bytes]:
    """What this process counts of itself, and its fellow workers; OpenMetrics for who accepts that."""
    services = services_of(request.app)
    served = services.metrics
    try:
        text, content_type = await served.scrape(request.headers.get("accept", ""))
    except OSError:
        _log.exception("the numbers of the other workers cannot be had")
        raise Problem(503, UNAVAILABLE, headers={"Retry-After": "1"}) from None
    return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

"""Metrics for Prometheus, ruled by the policy like every other route."""

from __future__ import annotations

from typing import Any

from litestar import Request, Response, route
from litestar.datastructures import State
from litestar.enums import HttpMethod
from litestar.openapi.datastructures import ResponseSpec

from app.metrics.scrape import Metrics

_TEXT = ResponseSpec(str, description="Prometheus' text format", media_type="text/plain", generate_examples=False)


@route(
    "/metrics",
    http_method=[HttpMethod.GET, HttpMethod.HEAD],
    summary="Metrics for Prometheus",
    tags=["health"],
    media_type="text/plain",
    responses={200: _TEXT},
)
async def show_metrics(request: Request[Any, Any, State], state: State) -> Response[bytes]:
    """What this process counts of itself, and its fellow workers; OpenMetrics for who accepts that."""
    served: Metrics = state.metrics
    text, content_type = await served.scrape(request.headers.get("accept", ""))
    return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

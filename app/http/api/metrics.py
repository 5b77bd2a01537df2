"""The endpoint of metrics for Prometheus."""

from __future__ import annotations

import structlog
from litestar import Response
from litestar.openapi.datastructures import ResponseSpec

from app.http.wire.handlers import get_or_head
from app.http.wire.problems import Problem, detail_spec
from app.services import AnyRequest, services_of

UNAVAILABLE = "The metrics of the other workers cannot be read now."
_log = structlog.stdlib.get_logger("metrics")
_TEXT = ResponseSpec(str, description="Prometheus' text format", media_type="text/plain", generate_examples=False)


@get_or_head(
    "/metrics",
    summary="Metrics for Prometheus",
    tags=["health"],
    media_type="text/plain",
    responses={200: _TEXT, 503: detail_spec("Another worker holds the lock of the metrics", UNAVAILABLE)},
)
async def retrieve_metrics(request: AnyRequest) -> Response[bytes]:
    """The metrics of this process and its fellow workers, in OpenMetrics if the client accepts it."""
    services = services_of(request.app)
    try:
        text, content_type = await services.metrics.scrape(request.headers.get("accept", ""))
    except OSError:
        _log.exception("the metrics of the other workers cannot be read")
        raise Problem(503, UNAVAILABLE, headers={"Retry-After": "1"}) from None
    return Response(text, headers={"Content-Type": content_type, "Cache-Control": "no-store"})

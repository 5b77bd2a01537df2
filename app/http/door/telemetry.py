"""Start and stop of metrics and traces with the application."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.metrics.scrape import Metrics

if TYPE_CHECKING:
    from app.http.door.tracing import Tracing

# Not a setting: `authz serve` sets it for its worker processes.
_WORKERS_DIRECTORY = "AUTHZ_RUN_DIR"


def new_tracing(endpoint: str | None, sample: float) -> Tracing | None:
    """Tracing to the collector at an endpoint; None without an endpoint."""
    if endpoint is None:
        return None
    from app.http.door.tracing import Tracing  # noqa: PLC0415  # an optional extra, which takes 0.1 s to import

    return Tracing(endpoint, sample)


@asynccontextmanager
async def telemetry(metrics: Metrics, tracing: Tracing | None) -> AsyncIterator[None]:
    """Context in which metrics are shared with other workers, and traces are exported."""
    if tracing:
        tracing.start()
    directory = os.environ.get(_WORKERS_DIRECTORY)
    await metrics.start(Path(directory) if directory else None)
    try:
        yield
    finally:
        await metrics.stop()
        if tracing:
            await tracing.stop()

"""Metrics and traces, for as long as the application runs."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from app.metrics.scrape import Metrics

if TYPE_CHECKING:
    from app.http.door.tracing import Tracing

# Set by `authz serve` for its own processes when there are several, and no setting.
_WORKERS_DIRECTORY = "AUTHZ_RUN_DIR"


def tracing_to(endpoint: str | None, sample: float) -> Tracing | None:
    """Traces to the collector at an endpoint; None without one."""
    if endpoint is None:
        return None
    from app.http.door.tracing import Tracing  # noqa: PLC0415  # takes a tenth of a second, and is rarely wanted

    return Tracing(endpoint, sample)


@asynccontextmanager
async def observed(metrics: Metrics, tracing: Tracing | None) -> AsyncIterator[None]:
    """Meanwhile metrics are kept, together with those of other workers where there are some, and traces are sent."""
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

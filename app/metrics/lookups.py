"""Measurement of the look-ups of API keys."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, nullcontext
from time import perf_counter_ns

from app.audit.tally import Tally
from app.identity.api_keys import KeyRecord
from app.identity.errors import CannotVerify

_Find = Callable[[bytes], Awaitable[KeyRecord | None]]


def measure_lookups(
    find: _Find, lookups: Tally, span: Callable[[str], AbstractContextManager[object]] = nullcontext
) -> _Find:
    """Wrap `find`: its durations go to `lookups` by outcome, each in a `span`. Cancelled calls are not counted."""
    found, unknown, unavailable = (lookups.recent(outcome) for outcome in ("found", "unknown", "unavailable"))

    async def find_measured(digest: bytes) -> KeyRecord | None:
        started = perf_counter_ns()
        try:
            with span("look up API key"):
                record = await find(digest)
        except CannotVerify:
            unavailable.append(perf_counter_ns() - started)
            raise
        (unknown if record is None else found).append(perf_counter_ns() - started)
        return record

    return find_measured

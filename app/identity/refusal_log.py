"""The log of refused credentials: a line for each cause, not for each request."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from app.identity.errors import Unauthenticated

EVERY_SECONDS = 60.0
_log = structlog.stdlib.get_logger("identity")


class RefusalLog:
    """Logs each cause when it first occurs, and then at most once in `EVERY_SECONDS` with the number of refusals since.

    The causes are those of `REASON_CODES`, which bounds the lines that callers can cause. `clock` is monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def note(self, refused: Unauthenticated) -> None:
        """Count a refusal, and log it if its cause is due."""
        code, now = refused.code, self._clock()
        count = self._since.get(code, 0) + 1
        if now < self._next.get(code, now):
            self._since[code] = count
            return
        self._next[code], self._since[code] = now + EVERY_SECONDS, 0
        _log.info("credentials refused", cause=code, detail=refused.fault.value, count=count)

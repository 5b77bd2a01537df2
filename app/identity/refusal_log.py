"""Why credentials were refused, in the log of the process: a line for each cause, and not for each request."""

from __future__ import annotations

import time
from collections.abc import Callable

import structlog

from app.identity.errors import Unauthenticated

EVERY_SECONDS = 60.0
_log = structlog.stdlib.get_logger("identity")


class RefusalLog:
    """Logs each cause when it is first met, and then at most once in `EVERY_SECONDS`, with how often it was met since.

    There are as many causes as `errors.WORDS`, so a caller can make that many lines and no more. `clock` is monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._next: dict[str, float] = {}
        self._since: dict[str, int] = {}

    def note(self, refused: Unauthenticated) -> None:
        """Note one refusal."""
        word, now = refused.word, self._clock()
        count = self._since.get(word, 0) + 1
        if now < self._next.get(word, now):
            self._since[word] = count
            return
        self._next[word], self._since[word] = now + EVERY_SECONDS, 0
        _log.info("credentials refused", cause=word, detail=refused.fault.value, count=count)

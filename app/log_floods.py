"""Limit on floods of similar log lines: beyond a number a second, one line a second has the number of the others."""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import structlog

MAX_LINES = 100  # a second of the same kind, for requests of each client
MAX_LINES_OF_ALL = 500  # a second of the same kind, for requests of all clients together
MAX_KINDS = 2_000  # counted at the same time
EVERY_SECONDS = 1.0
_MAX_LISTED = 10  # events in a report
CLIENT_ERROR = 400
_MESSAGE = "similar log lines were omitted"
_Kind = tuple[str, str, str]
_log = structlog.stdlib.get_logger("logs")


@dataclass(slots=True)
class _Counted:
    since: float
    lines: int = 0
    is_flood: bool = False


class FloodFilter(logging.Filter):
    """Passes `MAX_LINES` lines a second of each kind, and then none until a second has fewer.

    Lines are of the same kind if they have the same logger and event, and for requests the same status and client.
    Successful requests are all logged. `report` is called at most once in `EVERY_SECONDS`, in a thread, with the
    numbers of omitted lines by event. `clock` is monotonic.
    """

    def __init__(
        self, report: Callable[[Counter[str]], None] | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self._report = report or _warn
        self._clock = clock
        self._begin()
        os.register_at_fork(after_in_child=self._begin)
        atexit.register(self.flush)

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._counted: dict[_Kind, _Counted] = {}
        self._omitted: Counter[str] = Counter()
        self._timer: threading.Timer | None = None
        self._discarded_at = -EVERY_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is logged."""
        fields = record.msg if isinstance(record.msg, dict) else {}
        event = str(fields.get("event", record.msg))
        return self.passes(record.name, event, fields.get("status"), fields.get("client"))

    def passes(self, logger: str, event: str, status: int | None = None, client: str | None = None) -> bool:
        """Whether a line is logged, which is about a request if it has a status: 0 if there was no response."""
        of_client = ""
        if status is not None:
            if status and status < CLIENT_ERROR:
                return True
            event, of_client = f"{event} {status}", str(client)
        if event == _MESSAGE:
            return True
        with self._lock:
            now = self._clock()
            if self._passes((logger, event, of_client), MAX_LINES, now) and (
                not of_client or self._passes((logger, event, ""), MAX_LINES_OF_ALL, now)
            ):
                return True
            self._omitted[event if event in self._omitted or len(self._omitted) < _MAX_LISTED else "others"] += 1
            if self._timer is None:
                self._timer = threading.Timer(EVERY_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()
        return False

    def flush(self) -> None:
        """Report the lines that were omitted since the last report."""
        with self._lock:
            omitted, self._omitted = self._omitted, Counter()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if omitted:
            self._report(omitted)

    def _passes(self, kind: _Kind, limit: int, now: float) -> bool:
        counted = self._counted.get(kind)
        if counted is None:
            if len(self._counted) >= MAX_KINDS and now - self._discarded_at >= EVERY_SECONDS:
                self._discard(now)
            if len(self._counted) >= MAX_KINDS and kind[2]:
                return True  # counted only for all clients together
            counted = self._counted[kind] = _Counted(now)
        elif now - counted.since >= EVERY_SECONDS:
            # A second without any line ends a flood too.
            counted.is_flood = counted.lines > limit and now - counted.since < 2 * EVERY_SECONDS
            counted.since, counted.lines = now, 0
        counted.lines += 1
        return counted.lines <= limit and not counted.is_flood

    def _discard(self, now: float) -> None:
        self._discarded_at = now  # at most once a second, because it takes long
        for kind in [kind for kind, counted in self._counted.items() if now - counted.since >= 2 * EVERY_SECONDS]:
            del self._counted[kind]


def _warn(omitted: Counter[str]) -> None:
    _log.warning(_MESSAGE, count=omitted.total(), lines=dict(omitted))

"""Floods in the log: beyond some lines a second that say the same there is one line a second, with their number."""

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

MAX_LINES = 100  # a second of one kind, and about requests of one client
MAX_LINES_OF_ALL = 500  # a second of one kind, about requests of all clients together
MAX_KINDS = 2_000  # that are counted at the same time
EVERY_SECONDS = 1.0
_MAX_NAMED = 10
_CLIENT_ERROR = 400
_MESSAGE = "log lines of a flood were left out"
_Kind = tuple[str, str, str]
_log = structlog.stdlib.get_logger("logs")


@dataclass(slots=True)
class _Counted:
    since: float
    lines: int = 0
    is_flood: bool = False


class FloodFilter(logging.Filter):
    """Lets through `MAX_LINES` lines a second of each kind, and then none until a second has fewer.

    Lines are of one kind when they come from the same logger with the same event; lines about requests also by their
    status, and each client has that many for itself. Requests that were not refused are all logged. `report` is called
    at most once in `EVERY_SECONDS`, in a thread, with the numbers of lines that were left out. `clock` is monotonic.
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
        self._left_out: Counter[str] = Counter()
        self._timer: threading.Timer | None = None
        self._discarded_at = -EVERY_SECONDS

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether a line is logged."""
        fields = record.msg if isinstance(record.msg, dict) else {}
        event = str(fields.get("event", record.msg))
        client = ""
        if (status := fields.get("status")) is not None:
            if status and status < _CLIENT_ERROR:
                return True
            event, client = f"{event} {status}", str(fields.get("client"))
        if event == _MESSAGE:
            return True
        with self._lock:
            now = self._clock()
            if self._passes((record.name, event, client), MAX_LINES, now) and (
                not client or self._passes((record.name, event, ""), MAX_LINES_OF_ALL, now)
            ):
                return True
            self._left_out[event if event in self._left_out or len(self._left_out) < _MAX_NAMED else "others"] += 1
            if self._timer is None:
                self._timer = threading.Timer(EVERY_SECONDS, self.flush)
                self._timer.daemon = True
                self._timer.start()
        return False

    def flush(self) -> None:
        """Report what was left out since the last report."""
        with self._lock:
            left_out, self._left_out = self._left_out, Counter()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None
        if left_out:
            self._report(left_out)

    def _passes(self, kind: _Kind, limit: int, now: float) -> bool:
        counted = self._counted.get(kind)
        if counted is None:
            if len(self._counted) >= MAX_KINDS and now - self._discarded_at >= EVERY_SECONDS:
                self._discard(now)
            if len(self._counted) >= MAX_KINDS and kind[2]:
                return True  # counted with those of all clients
            counted = self._counted[kind] = _Counted(now)
        elif now - counted.since >= EVERY_SECONDS:
            # A whole second without a line is no flood either.
            counted.is_flood = counted.lines > limit and now - counted.since < 2 * EVERY_SECONDS
            counted.since, counted.lines = now, 0
        counted.lines += 1
        return counted.lines <= limit and not counted.is_flood

    def _discard(self, now: float) -> None:
        self._discarded_at = now  # it takes a while, so once a second
        for kind in [kind for kind, counted in self._counted.items() if now - counted.since >= 2 * EVERY_SECONDS]:
            del self._counted[kind]


def _warn(left_out: Counter[str]) -> None:
    _log.warning(_MESSAGE, count=left_out.total(), lines=dict(left_out))

"""Decisions that were lost: their number, class and time, which the log of the process and the database keep."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from contextvars import Context
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from app.audit.decision_class import DecisionClass

REPORT_SECONDS = 1.0  # between two lines of the log
_QUIET = 10_000_000  # microseconds without a loss, after which a window is over
_LONGEST = 60_000_000
_log = structlog.stdlib.get_logger("decisions")


class Loss(NamedTuple):
    """A lost decision, or several equal ones; `at` is in microseconds since 1970."""

    decision_class: DecisionClass
    at: int
    times: int = 1


@dataclass(slots=True)
class DropWindow:
    """A time during which a process lost `count` decisions of a class; in microseconds since 1970."""

    decision_class: DecisionClass
    first_at: int
    last_at: int
    count: int = 0
    # Chosen here, so that a window that is stored again replaces itself.
    id: str = field(default_factory=lambda: secrets.token_hex(16))


class Drops:
    """The losses of this process, each class with one window until it is stored.

    `add` logs them at once, and then at most once a second. `error` is that of the writer, for the log.
    """

    def __init__(self) -> None:
        self.counts: Counter[DecisionClass] = Counter()
        self.last_at: int | None = None  # in microseconds since 1970
        self.error: str | None = None
        self._windows: dict[DecisionClass, DropWindow] = {}
        self._stored: dict[str, int] = {}  # counts by the id of a window
        self._unreported: Counter[DecisionClass] = Counter()
        self._timer: asyncio.Handle | None = None

    def add(self, lost: Iterable[Loss]) -> None:
        """Count lost decisions, and log them. Never waits."""
        added = self.count(lost)
        if added:
            self._unreported += added
            if self._timer is None:
                # Without the context of the request that comes when a decision is lost, whose id the line would have.
                self._timer = asyncio.get_running_loop().call_soon(self._report, context=Context())

    def count(self, lost: Iterable[Loss]) -> Counter[DecisionClass]:
        """Like `add`, without a line in the log; return the numbers."""
        added = Counter[DecisionClass]()
        for decision_class, at, times in lost:
            added[decision_class] += times
            window = self._window(decision_class, at)
            window.count += times
            window.first_at = min(window.first_at, at)
            window.last_at = max(window.last_at, at)
        if added:
            self.counts += added
            self.last_at = time.time_ns() // 1000
        return added

    def unstored(self) -> Sequence[DropWindow]:
        """Copies of the windows that the database does not have, or not with their count."""
        return [replace(window) for window in self._windows.values() if self._stored.get(window.id) != window.count]

    def mark_stored(self, windows: Sequence[DropWindow]) -> None:
        """Note that the database has these."""
        current = {window.id for window in self._windows.values()}
        self._stored = {key: count for key, count in self._stored.items() if key in current}
        self._stored |= {window.id: window.count for window in windows if window.id in current}

    def close(self) -> None:
        """Log what is not logged yet."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._unreported:
            self._log_unreported()

    def _window(self, decision_class: DecisionClass, at: int) -> DropWindow:
        window = self._windows.get(decision_class)
        if window is not None:
            is_old = at - window.last_at > _QUIET or at - window.first_at > _LONGEST
            if not is_old or self._stored.get(window.id) != window.count:
                return window
        window = self._windows[decision_class] = DropWindow(decision_class, at, at)
        return window

    def _report(self) -> None:
        self._timer = None
        if self._unreported:
            self._log_unreported()
            self._timer = asyncio.get_running_loop().call_later(REPORT_SECONDS, self._report, context=Context())

    def _log_unreported(self) -> None:
        lost = dict(self._unreported)
        self._unreported.clear()
        _log.error("decisions were dropped", decisions=sum(lost.values()), classes=lost, error=self.error)

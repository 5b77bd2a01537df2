"""Runs the cases of the active policy in the background, since edited files become active even if cases fail."""

from __future__ import annotations

import asyncio
import math
import time

import structlog

from app.policy.analysis.case_report import CaseReport, run_cases
from app.policy.engine.live import LivePolicy

_MAX_LOGGED = 3  # cases that fail
_log = structlog.stdlib.get_logger("policy")


class CaseWatch:
    """The case report of the active policy, renewed by the `run` task whenever another policy becomes active."""

    def __init__(self, live: LivePolicy) -> None:
        self._live = live
        self._revision = ""
        self._report: CaseReport | None = None
        self._due = asyncio.Event()
        self._due.set()
        live.on_reload(lambda reload: self._due.set() if reload.outcome == "swapped" else None)

    @property
    def report(self) -> CaseReport | None:
        """The report on the active policy; None until its cases have run."""
        return self._report if self._revision == self._live.active.revision else None

    async def run(self, stop: asyncio.Event) -> None:
        """Run the cases of each policy that becomes active, including the first, until `stop` is set."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                waiting = asyncio.create_task(self._due.wait())
                await asyncio.wait({waiting, stopping}, return_when=asyncio.FIRST_COMPLETED)
                waiting.cancel()
                if not stop.is_set():
                    self._due.clear()
                    try:
                        await self._examine(stop)
                    except Exception:  # noqa: BLE001  # a defect must not end the watch of later policies
                        _log.exception("the cases of the active policy could not be run")
        finally:
            stopping.cancel()

    async def _examine(self, stop: asyncio.Event) -> None:
        active = self._live.active
        if active.revision == self._revision:
            return

        def clock() -> float:
            # Cut the run off at shutdown.
            return math.inf if stop.is_set() else time.monotonic()

        report = await asyncio.to_thread(run_cases, active, clock=clock)
        if stop.is_set():
            return
        self._revision, self._report = active.revision, report
        if not report.passed:
            _log.warning(
                "cases of the active policy fail",
                revision=active.revision,
                run=report.run,
                failed=report.failed,
                not_run=report.not_run,
                first=[f"{each.place}: {each.row}: {each.problem}" for each in report.failures[:_MAX_LOGGED]],
            )

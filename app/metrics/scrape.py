"""The metrics of a process, or of all its fellow workers, on request."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from app.metrics.read import Parts, read
from app.metrics.values import Values
from app.policy.engine.live import Reload

if TYPE_CHECKING:
    from app.metrics.workers import WorkerMetrics

LAG_EVERY_SECONDS = 0.25
_LAGS_A_BEAT = 4
_NANO = 1_000_000_000
_log = structlog.stdlib.get_logger("metrics")


class Metrics:
    """Answers scrapes. From `start` to `stop` it measures how late the event loop is, adds up what was counted, and
    tells the other workers of a directory its numbers, once a second."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._snapshot = parts.live.active
        self._misses_before = 0
        self._readings = 0
        parts.live.on_reload(self._reloaded)
        self._workers: WorkerMetrics | None = None
        self._task: asyncio.Task[None] | None = None
        self._unwritten = False

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The text for a scraper that accepts these formats, and its content type.

        Raises OSError while the numbers of the other workers cannot be had.
        """
        return await asyncio.to_thread(self._text, self._read(), accept)

    async def start(self, directory: Path | None) -> None:
        """Begin, as one of the workers of a directory if one is given."""
        if directory is not None:
            from app.metrics.workers import WorkerMetrics  # noqa: PLC0415  # locks files, which not every system can

            try:
                self._workers = await asyncio.to_thread(WorkerMetrics, directory)
            except OSError as error:
                _log.error("the other workers will not have the numbers of this one", error=str(error))
        self._task = asyncio.create_task(self._beat(), name="metrics")

    async def stop(self) -> None:
        """End, and leave the last numbers to the other workers."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._workers is not None:
            await self._tell()
            self._workers.close()

    def _reloaded(self, _reload: Reload) -> None:
        """Keep what the policy before this one counted. One that is set aside for a time is the same all along."""
        active = self._parts.live.active
        if active.revision != self._snapshot.revision:
            self._misses_before += self._snapshot.misses
            self._snapshot = active

    def _read(self) -> Values:
        self._readings += 1
        values = read(self._parts, self._misses_before)
        values.made = self._readings
        return values

    async def _beat(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_LAGS_A_BEAT):
                due = loop.time() + LAG_EVERY_SECONDS
                await asyncio.sleep(LAG_EVERY_SECONDS)
                self._parts.lag.recent.append(int(max(loop.time() - due, 0) * _NANO))
            try:
                self._parts.add_up()
                if self._workers is not None:
                    await self._tell()
            except Exception:  # noqa: BLE001  # a defect, which must not end the counting
                _log.exception("the numbers could not be added up")

    async def _tell(self) -> None:
        assert self._workers is not None
        try:
            await asyncio.to_thread(self._write, self._workers, self._read())
        except OSError as error:
            if not self._unwritten:
                _log.error("the other workers do not have the numbers of this one", error=str(error))
            self._unwritten = True
        else:
            self._unwritten = False

    @staticmethod
    def _write(workers: WorkerMetrics, values: Values) -> None:
        from app.metrics.expose import add_process  # noqa: PLC0415  # as below

        add_process(values)
        workers.write(values)

    def _text(self, values: Values, accept: str) -> tuple[bytes, str]:
        from app.metrics.expose import add_process, expose  # noqa: PLC0415  # loads what a start need not wait for

        add_process(values)
        if self._workers is not None:
            values = self._workers.all(values)
        return expose(values, accept)

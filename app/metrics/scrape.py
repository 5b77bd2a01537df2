"""Scrapes of the metrics of a process, or of all its fellow workers."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from app.metrics.read import MetricSources, read
from app.metrics.values import Values
from app.policy.engine.live import Reload

if TYPE_CHECKING:
    from app.metrics.workers import WorkerMetrics

LAG_EVERY_SECONDS = 0.25
_LAGS_PER_UPDATE = 4
_NANO = 1_000_000_000
_log = structlog.stdlib.get_logger("metrics")


class Metrics:
    """Responds to scrapes, and once a second adds up durations and shares the values with the other workers.

    From `start` to `stop` it also measures the lag of the event loop.
    """

    def __init__(self, sources: MetricSources) -> None:
        self._sources = sources
        self._snapshot = sources.live.active
        self._misses_before = 0
        self._readings = 0
        sources.live.on_reload(self._on_reload)
        self._workers: WorkerMetrics | None = None
        self._task: asyncio.Task[None] | None = None
        self._is_failing = False  # to write the file for the other workers

    async def scrape(self, accept: str) -> tuple[bytes, str]:
        """The metrics as text in one of the accepted formats, and its content type.

        Raises OSError if the values of the other workers cannot be read.
        """
        return await asyncio.to_thread(self._text, self._read(), accept)

    async def start(self, directory: Path | None) -> None:
        """Start the updates, shared with the other workers of `directory` if one is given."""
        if directory is not None:
            from app.metrics.workers import WorkerMetrics  # noqa: PLC0415  # needs fcntl, which Windows does not have

            try:
                self._workers = await asyncio.to_thread(WorkerMetrics, directory)
            except OSError as error:
                _log.error("the other workers will not have the metrics of this one", error=str(error))
        self._task = asyncio.create_task(self._update_regularly(), name="metrics")

    async def stop(self) -> None:
        """Stop the updates, and write the last values for the other workers."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        if self._workers is not None:
            await self._share()
            self._workers.close()

    def _on_reload(self, _reload: Reload) -> None:
        """Keep the misses of the previous policy. A policy that was suspended and is active again keeps counting."""
        active = self._sources.live.active
        if active.revision != self._snapshot.revision:
            self._misses_before += self._snapshot.misses
            self._snapshot = active

    def _read(self) -> Values:
        self._readings += 1
        values = read(self._sources, self._misses_before)
        values.reading = self._readings
        return values

    async def _update_regularly(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            for _ in range(_LAGS_PER_UPDATE):
                due = loop.time() + LAG_EVERY_SECONDS
                await asyncio.sleep(LAG_EVERY_SECONDS)
                self._sources.lag.recent.append(int(max(loop.time() - due, 0) * _NANO))
            try:
                for _ in self._sources.add_up():
                    await asyncio.sleep(0)
                if self._workers is not None:
                    await self._share()
            except Exception:  # noqa: BLE001  # an unexpected error must not end the updates
                _log.exception("the metrics could not be added up")

    async def _share(self) -> None:
        assert self._workers is not None
        try:
            await asyncio.to_thread(self._write, self._workers, self._read())
        except OSError as error:
            if not self._is_failing:
                _log.error("the other workers do not have the metrics of this one", error=str(error))
            self._is_failing = True
        else:
            self._is_failing = False

    @staticmethod
    def _write(workers: WorkerMetrics, values: Values) -> None:
        from app.metrics.expose import add_process  # noqa: PLC0415  # as below

        add_process(values)
        workers.write(values)

    def _text(self, values: Values, accept: str) -> tuple[bytes, str]:
        from app.metrics.expose import add_process, expose  # noqa: PLC0415  # imported by the first scrape, not at start

        add_process(values)
        if self._workers is not None:
            values = self._workers.merge(values)
        return expose(values, accept)

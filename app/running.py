"""What runs beside the requests, from the start of a process to its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import structlog
from litestar import Litestar

from app.audit.retention import keep_for
from app.db.old_decisions import OldDecisions
from app.hangup import hangup
from app.history.follower import Follower
from app.history.replica import ReplicaSync
from app.http.door.telemetry import observed
from app.keys.changes import follow
from app.logs import first_lines
from app.policy.engine.live import LivePolicy, Reload
from app.policy.engine.watch import watch

_AGAIN_SECONDS = 1.0  # until a revision that could not be stored is tried again
_log = structlog.stdlib.get_logger("policy")


def report(reload: Reload) -> None:
    """Tell operators what became of a policy."""
    if reload.outcome == "refused":
        _log.error(
            "policy refused; the last good one decides on",
            revision=reload.revision,
            faults=first_lines(reload.faults),
            count=len(reload.faults),
        )
    else:
        added = sum(change.kind == "added" for change in reload.changed)
        _log.info(
            "policy swapped",
            revision=reload.revision,
            added=added,
            removed=len(reload.changed) - added,
            changed=first_lines(reload.changed),
        )


@asynccontextmanager
async def running(app: Litestar) -> AsyncIterator[None]:
    """Meanwhile there are the key set, the writers, the watch over the policy, and retention."""
    live: LivePolicy = app.state.live
    replica: ReplicaSync = app.state.replica
    await replica.begin()
    stop = asyncio.Event()
    async with (
        observed(app.state.metrics, app.state.tracing),
        app.state.key_set,
        app.state.last_used,
        app.state.decision_log,
        app.state.shadowing,
    ):
        works = (
            watch(live, stop),
            _retention(app, stop),
            _history(app, stop),
            _key_changes(app, stop),
            replica.run(stop),
            app.state.case_watch.run(stop),
            app.state.disk.run(stop),
        )
        beside = [asyncio.create_task(work) for work in works]
        try:
            with _on_hangup(live):
                yield
        finally:
            stop.set()
            await asyncio.gather(*beside)
    if app.state.openid is not None:
        await app.state.openid.close()
    await app.state.database.dispose()
    _log.info("stopped")


async def _history(app: Litestar, stop: asyncio.Event) -> None:
    """Store each policy that becomes active as a revision, the first one too; what could not be is tried again."""
    live: LivePolicy = app.state.live
    follower: Follower = app.state.follower
    swapped = asyncio.Event()
    live.on_reload(lambda reload: swapped.set() if reload.outcome == "swapped" else None)
    swapped.set()
    stopping = asyncio.create_task(stop.wait())
    stored = True
    while not stop.is_set():
        waiting = asyncio.create_task(swapped.wait())
        again = None if stored else _AGAIN_SECONDS
        await asyncio.wait({waiting, stopping}, timeout=again, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if swapped.is_set() or not stored:
            swapped.clear()
            stored = await follower.note_active()


async def _retention(app: Litestar, stop: asyncio.Event) -> None:
    await keep_for(app.state.settings.decision_log_retention_days, stop, OldDecisions(app.state.sessions))


async def _key_changes(app: Litestar, stop: asyncio.Event) -> None:
    bound = app.state.settings.key_cache_seconds
    if bound:
        # Twice within the bound, so that what is asked for in time is heard in time.
        await follow(app.state.sessions, app.state.verifier, stop, every_seconds=bound / 2)


@contextmanager
def _on_hangup(live: LivePolicy) -> Iterator[None]:
    """Reload on SIGHUP, where signals can be had: in the main thread of a process. One that came before counts."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    loop = asyncio.get_running_loop()
    reloads: set[asyncio.Task[Reload]] = set()

    def finished(task: asyncio.Task[Reload]) -> None:
        reloads.discard(task)
        if not task.cancelled() and (error := task.exception()):
            _log.error("reload on SIGHUP failed", exc_info=error)

    def reload() -> None:
        task = loop.create_task(live.reload())
        reloads.add(task)
        task.add_done_callback(finished)

    before = signal.getsignal(signal.SIGHUP)
    loop.add_signal_handler(signal.SIGHUP, reload)
    if hangup.take():
        reload()
    try:
        yield
    finally:
        loop.remove_signal_handler(signal.SIGHUP)
        signal.signal(signal.SIGHUP, before)  # not the system's, which would end a process that is still stopping

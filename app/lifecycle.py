"""The lifespan of the application: its background tasks, from the start of a process to its end."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime

import structlog
from litestar import Litestar
from sqlalchemy.exc import SQLAlchemyError

from app import logs
from app.audit.deletions import run_size_limit
from app.audit.retention import run_retention
from app.db.availability import error_name
from app.db.change_feed import APP_FEED, KEY_FEED, follow_changes
from app.db.decision_carrying import run_carrying
from app.db.limited_log import LimitedLog
from app.db.old_decisions import OldDecisions
from app.db.planner_statistics import run_statistics
from app.db.session import read
from app.hangup import hangup
from app.http.door.access_log import AccessLog
from app.http.door.telemetry import telemetry
from app.keys.prefixes import other_prefix
from app.logs import first_lines
from app.oauth.open_scopes import first_scopes
from app.policy.engine.live import LivePolicy, Reload
from app.policy.engine.watch import watch
from app.policy.gc_control import release_memory
from app.services import Services, services_of

_RETRY_SECONDS = 1.0  # after a revision could not be stored
_log = structlog.stdlib.get_logger("policy")
_keys_log = structlog.stdlib.get_logger("api_keys")


def report(reload: Reload) -> None:
    """Log the outcome of a reload for operators."""
    if reload.outcome == "refused":
        _log.error(
            "policy refused; the last good one stays active",
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
async def lifespan(app: Litestar) -> AsyncIterator[None]:
    """Run the background tasks, and the thread that writes the log."""
    async with _log_stream(services_of(app).access_log), _background_tasks(app):
        yield


@asynccontextmanager
async def _log_stream(access_log: AccessLog | None) -> AsyncIterator[None]:
    logs.stream.start(access_log.flush if access_log is not None else None)
    try:
        yield
    finally:
        logs.floods.flush()
        logs.stream.flush()
        await asyncio.to_thread(logs.stream.stop)


@asynccontextmanager
async def _background_tasks(app: Litestar) -> AsyncIterator[None]:
    """Run the background tasks: key sets, writers, watch of the policy files, retention, replication and export."""
    services = services_of(app)
    _state_scopes(services)
    await services.replica.begin()
    stop = asyncio.Event()
    async with (
        telemetry(services.metrics, services.tracing),
        services.issuers,
        services.last_used,
        services.last_used_apps,
        services.decision_log,
        services.shadowing,
    ):
        works = (
            watch(services.live, stop),
            _retention(services, stop),
            _size_limit(services, stop),
            run_statistics(services.database, lambda: services.decision_log.health.written, stop),
            services.sealer.run(stop),
            run_carrying(services.sessions, services.disk, stop),
            _history(services, stop),
            _changes(services, stop),
            services.replica.run(stop),
            services.case_watch.run(stop),
            services.disk.run(stop),
            services.siem.run(stop),
            _warn_about_other_prefix(services),
        )
        tasks = [asyncio.create_task(work) for work in works]
        try:
            with _on_hangup(services.live):
                yield
        finally:
            stop.set()
            await asyncio.gather(*tasks)
    if services.openid is not None:
        await services.openid.close()
    await services.database.dispose()
    _log.info("stopped")


def _state_scopes(services: Services) -> None:
    """Let challenges name the scopes that any app may ask for at first, under each policy that becomes active."""
    if services.authorization_server is None:
        return

    def state(_: Reload | None = None) -> None:
        services.refusals.state_scopes(first_scopes(services.live.active))

    services.live.on_reload(state)
    state()


async def _history(services: Services, stop: asyncio.Event) -> None:
    """Store each policy that becomes active as a revision, including the first; retry if that fails."""
    live, follower = services.live, services.follower
    swapped = asyncio.Event()
    live.on_reload(lambda reload: swapped.set() if reload.outcome == "swapped" else None)
    swapped.set()
    stopping = asyncio.create_task(stop.wait())
    stored = True
    while not stop.is_set():
        waiting = asyncio.create_task(swapped.wait())
        again = None if stored else _RETRY_SECONDS
        await asyncio.wait({waiting, stopping}, timeout=again, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if swapped.is_set() or not stored:
            swapped.clear()
            stored = await follower.note_active()
            if stored:
                # A large policy was loaded and encoded, and the texts and bytes of its files were in memory.
                await asyncio.to_thread(release_memory)


async def _size_limit(services: Services, stop: asyncio.Event) -> None:
    store = LimitedLog(services.sessions, services.sealer.key)
    await run_size_limit(services.log_size, stop, store, services.decision_log.hold)


async def _retention(services: Services, stop: asyncio.Event) -> None:
    store = OldDecisions(services.sessions, services.sealer.key)
    await run_retention(services.settings.decision_log_retention_days, stop, store)


async def _changes(services: Services, stop: asyncio.Event) -> None:
    bound = services.settings.key_cache_seconds
    if bound:
        # Twice within the bound, so that a change is read before the bound is over.
        caches = ((KEY_FEED, services.verifier.cache), (APP_FEED, services.app_tokens.cache))
        await asyncio.gather(
            *(follow_changes(services.sessions, feed, cache, stop, every_seconds=bound / 2) for feed, cache in caches)
        )


async def _warn_about_other_prefix(services: Services) -> None:
    """Say once that keys are refused because their prefix is not in the settings, as after a change of it."""
    try:
        prefix = await read(services.sessions, lambda session: other_prefix(session, datetime.now(UTC)))
    except (SQLAlchemyError, OSError) as error:
        _keys_log.info("the prefixes of keys were not compared with AUTHZ_KEY_PREFIX", error=error_name(error))
        return
    if prefix is not None:
        known = ",".join(services.settings.key_prefix)
        _keys_log.warning(
            "there are keys that are not accepted because of their prefix",
            prefix=prefix,
            hint=f"to accept them, set AUTHZ_KEY_PREFIX={known},{prefix}",
        )


@contextmanager
def _on_hangup(live: LivePolicy) -> Iterator[None]:
    """Reload the policy on SIGHUP, also on one that is pending. Only the main thread can handle signals."""
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
        signal.signal(signal.SIGHUP, before)  # the default handler would end the process before it has stopped

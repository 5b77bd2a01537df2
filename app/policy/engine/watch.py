"""Watches the policy directory, so that an edited row takes effect without a restart.

The directory is watched, not its files, since an editor's atomic rename would end a watch on a file. So is its parent,
in case the directory or a link to it is replaced. Sizes and times are compared every second in case events are missed.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import structlog
from watchfiles import awatch

from app.policy.engine.live import LivePolicy
from app.policy.language.directory import STAMP, folders

LOOK_SECONDS = 1.0
_SETTLE_MS = 40
_POLLS = 60  # before watching is tried again
_log = structlog.stdlib.get_logger("policy")

# Distinguishes states of the files without reading them.
Signature = tuple[tuple[str, int, int, int], ...]


async def watch(live: LivePolicy, stop: asyncio.Event) -> None:
    """Reload whenever the files change, until `stop` is set. Reloads report their own faults.

    If the system reports no changes, such as when it has no inotify instance left, the files are polled.
    """
    seen = signature(live.directory)
    await live.reload()  # pick up changes since the first policy was read
    known: str | None = None  # the failure that was logged already
    while not stop.is_set():
        try:
            if known is not None:
                seen = await _poll(live, stop, seen)
            seen = await _watch_targets(live, stop, seen)
            known = None
        except Exception as error:  # noqa: BLE001  # no failure may end the watch
            reason = f"{type(error).__name__}: {error}"
            if reason != known:  # log once, not at every attempt
                _log.warning(
                    "the policy directory cannot be watched and is polled every second instead",
                    error=reason,
                    hint="raise fs.inotify.max_user_instances or max_user_watches if they are exhausted",
                )
            known = reason


async def _poll(live: LivePolicy, stop: asyncio.Event, seen: Signature) -> Signature:
    """Poll every second, until watching is tried again."""
    for _ in range(_POLLS):
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
            break
        except TimeoutError:
            seen = await _look(live, seen)
    return seen


async def _watch_targets(live: LivePolicy, stop: asyncio.Event, seen: Signature) -> Signature:
    """Watch the directories that the policy's path resolves to, until it resolves to others."""
    targets = _targets(live.directory)
    changes = awatch(
        *targets,
        stop_event=stop,
        recursive=False,
        step=_SETTLE_MS,
        debounce=10 * _SETTLE_MS,
        rust_timeout=int(LOOK_SECONDS * 1000),
        yield_on_timeout=True,
    )
    # Something may have changed between the last look and the start of this watch.
    seen = await _look(live, seen)
    async for _ in changes:
        seen = await _look(live, seen)
        if _targets(live.directory) != targets:
            break
    return seen


async def _look(live: LivePolicy, seen: Signature) -> Signature:
    now = await asyncio.to_thread(signature, live.directory)
    if now != seen:
        await live.reload()
    return now


def _targets(directory: Path) -> tuple[Path, ...]:
    real = Path(os.path.realpath(directory))
    found = {directory.absolute().parent, real, *(real / folder for folder in folders(real))}
    return tuple(sorted(path for path in found if path.is_dir()))


def signature(directory: Path) -> Signature:
    """Name, size, inode and modification time of all files in the policy's directories, following links."""
    entries: list[tuple[str, int, int, int]] = []
    for folder in folders(directory):
        path = directory / folder
        try:
            names = sorted(os.listdir(path))  # noqa: PTH208  # only names: pathlib would build a path for each
        except OSError:
            continue  # a missing directory is a difference too
        for name in names:
            if name == STAMP:
                continue  # our own stamp, not a part of the policy
            try:
                status = (path / name).stat()
            except OSError:
                entries.append((f"{folder}/{name}", -1, 0, 0))
            else:
                entries.append((f"{folder}/{name}", status.st_size, status.st_ino, status.st_mtime_ns))
    return tuple(entries)

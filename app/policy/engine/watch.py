"""Watches the policy directory, so that an edited row is obeyed without a restart.

The directory is watched, never a file: an editor's atomic rename would silence that. Its parent is too, for a
directory or link that is swapped as a whole, and a cheap look at sizes and times backs up missed events.
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
_POLLS = 60  # before the system is asked again to report changes
_log = structlog.stdlib.get_logger("policy")

# What tells one state of the files from another without reading them.
Signature = tuple[tuple[str, int, int, int], ...]


async def watch(live: LivePolicy, stop: asyncio.Event) -> None:
    """Reload whenever the files change, until `stop` is set. Faults are the reload's to report.

    Where the system reports no changes, as with all of its inotify instances taken, the files are polled.
    """
    seen = signature(live.directory)
    await live.reload()  # what changed since the first policy was read
    known: str | None = None  # the failure that is logged already
    while not stop.is_set():
        try:
            if known is not None:
                seen = await _poll(live, stop, seen)
            seen = await _watch_as_it_stands(live, stop, seen)
            known = None
        except Exception as error:  # noqa: BLE001  # whatever it is, the watch must go on
            reason = f"{type(error).__name__}: {error}"
            if reason != known:  # once, and not at every try
                _log.warning(
                    "the policy directory cannot be watched, and is looked at every second instead",
                    error=reason,
                    hint="raise fs.inotify.max_user_instances or max_user_watches, if they are used up",
                )
            known = reason


async def _poll(live: LivePolicy, stop: asyncio.Event, seen: Signature) -> Signature:
    """Look every second, until it is time to try to watch again."""
    for _ in range(_POLLS):
        try:
            async with asyncio.timeout(LOOK_SECONDS):
                await stop.wait()
            break
        except TimeoutError:
            seen = await _look(live, seen)
    return seen


async def _watch_as_it_stands(live: LivePolicy, stop: asyncio.Event, seen: Signature) -> Signature:
    """Watch the directories that the policy's path now leads to, until it leads elsewhere."""
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
    """Name, size, inode and time of change of everything in the policy's directories, links followed."""
    entries: list[tuple[str, int, int, int]] = []
    for folder in folders(directory):
        path = directory / folder
        try:
            names = sorted(os.listdir(path))  # noqa: PTH208  # names alone: pathlib would build a path for each
        except OSError:
            continue  # no such directory now: that difference is the signature
        for name in names:
            if name == STAMP:
                continue  # a note of our own, which changes nothing
            try:
                status = (path / name).stat()
            except OSError:
                entries.append((f"{folder}/{name}", -1, 0, 0))
            else:
                entries.append((f"{folder}/{name}", status.st_size, status.st_ino, status.st_mtime_ns))
    return tuple(entries)

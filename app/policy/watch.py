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

from app.policy.file_names import FOLDERS
from app.policy.live import LivePolicy

LOOK_SECONDS = 1.0
_SETTLE_MS = 40
_log = structlog.stdlib.get_logger("policy")

# What tells one state of the files from another without reading them.
Signature = tuple[tuple[str, int, int, int], ...]


async def watch(live: LivePolicy, stop: asyncio.Event) -> None:
    """Reload whenever the files change, until `stop` is set. Faults are the reload's to report."""
    seen = signature(live.directory)
    await live.reload()  # what changed since the first policy was read
    while not stop.is_set():
        try:
            seen = await _watch_as_it_stands(live, stop, seen)
        except Exception:  # noqa: BLE001  # whatever it is, the watch must go on
            # Losing sight of the files must be loud, and must not last.
            _log.exception("watching the policy directory failed; trying again")
            await asyncio.sleep(LOOK_SECONDS)


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
    found = {directory.absolute().parent, real, *(real / folder for folder in FOLDERS)}
    return tuple(sorted(path for path in found if path.is_dir()))


def signature(directory: Path) -> Signature:
    """Name, size, inode and time of change of everything in the policy's directories, links followed."""
    entries: list[tuple[str, int, int, int]] = []
    for folder in FOLDERS:
        path = directory / folder
        try:
            names = sorted(os.listdir(path))  # noqa: PTH208  # names alone: pathlib would build a path for each
        except OSError:
            continue  # no such directory now: that difference is the signature
        for name in names:
            try:
                status = (path / name).stat()
            except OSError:
                entries.append((f"{folder}/{name}", -1, 0, 0))
            else:
                entries.append((f"{folder}/{name}", status.st_size, status.st_ino, status.st_mtime_ns))
    return tuple(entries)

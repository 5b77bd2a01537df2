"""The temporary directory that the workers of one `authz serve` share."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from app.cli.failure import fail

RUN_DIR = "AUTHZ_RUN_DIR"
_PREFIX = "authz-run-"
_IN_USE = "in-use"  # locked by all users of the directory, by workers through inheritance
# Not the working directory, which the standard library would try too: it may be the policy directory.
SYSTEM = ("/tmp", "/var/tmp", "/dev/shm")  # noqa: S108  # each gets a private directory with an unguessable name


@contextmanager
def run_directory(bases: Sequence[str] | None = None) -> Iterator[Path]:
    """Create a private directory, named in AUTHZ_RUN_DIR, and remove those that killed processes have left.

    Exits if none of `bases` is writable.
    """
    directory = _make(bases if bases is not None else [*filter(None, [os.environ.get("TMPDIR")]), *SYSTEM])
    lock = os.open(directory / _IN_USE, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(lock, fcntl.LOCK_EX)
    _sweep(directory.parent)
    os.environ[RUN_DIR] = str(directory)
    try:
        yield directory
    finally:
        os.close(lock)
        shutil.rmtree(directory, ignore_errors=True)


def remove(directory: Path) -> None:
    """Remove the directory, although other processes may still try to write to it."""
    gone = directory.with_name(f"{directory.name}.gone")
    with suppress(OSError):  # another worker was first
        directory.rename(gone)
        shutil.rmtree(gone, ignore_errors=True)


def _make(bases: Sequence[str]) -> Path:
    directory = ""
    for base in bases:
        with suppress(OSError):
            directory = tempfile.mkdtemp(prefix=_PREFIX, dir=base)
            break
    if not directory:
        fail(
            f"several workers need a directory to share, and none of {', '.join(bases)} can be written: mount a "
            "writable file system there, such as an emptyDir or a tmpfs, or name a directory in TMPDIR."
        )
    return Path(directory)


def _sweep(base: Path) -> None:
    """Remove the directories of killed processes, whose locks are free."""
    for left in base.glob(f"{_PREFIX}*"):
        with suppress(OSError):
            status = left.lstat()
            if not left.is_dir() or left.is_symlink() or status.st_uid != os.geteuid():
                continue
            lock = os.open(left / _IN_USE, os.O_RDWR | os.O_NOFOLLOW)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(left, ignore_errors=True)
            finally:
                os.close(lock)

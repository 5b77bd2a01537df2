"""Replaces the policy files as a unit, so that no process ever loads a mixture of old and new files.

While the files change, a marker file names their new revision, and readers refuse any other. If the process dies,
the marker stays until a process that knows the new files writes them again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from app.policy.language.directory import MARKER, file_names, folders, read_marker
from app.policy.language.fault import PolicyRefused

_TEMPORARY = ".new"


class PolicyNotWritten(Exception):
    """The directory cannot be written, or holds files that are refused. The message says why, for an operator."""


def lock(directory: Path) -> int | None:
    """Acquire the lock for writing the files; None if another process holds it. Raises PolicyNotWritten.

    The system releases it when the process ends in any way.
    """
    with _reported(directory):
        handle = os.open(os.path.realpath(directory, strict=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(handle)
            if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
    return handle


def unlock(handle: int) -> None:
    """Release the lock."""
    os.close(handle)


def begin(directory: Path, revision: str) -> None:
    """Write the marker with the new revision. Raises PolicyNotWritten, also for names that `write` refuses."""
    with _reported(directory):
        root = Path(os.path.realpath(directory, strict=True))
        _names(directory)
        _write(root / MARKER, revision.encode())


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Write these as the policy files of a directory, and remove all others. Raises PolicyNotWritten.

    Nothing is written if the directory holds names that are refused, since the policy would not be read then.
    """
    with _reported(directory):
        root = Path(os.path.realpath(directory, strict=True))
        names = _names(directory)
        for name, data in files.items():
            parent = (root / name).parent
            parent.mkdir(parents=True, exist_ok=True)
            if not Path(os.path.realpath(parent, strict=True)).is_relative_to(root):
                raise OSError(None, f"the folder of {name} is a link that leads out of the directory")
            _write(root / name, data)
        for name in names - files.keys():
            (root / name).unlink()
        _sync(root)


def finish(directory: Path) -> None:
    """Remove the marker once all files are written. Raises PolicyNotWritten."""
    with _reported(directory):
        root = Path(os.path.realpath(directory, strict=True))
        (root / MARKER).unlink(missing_ok=True)
        _sync(root)


def unfinished(directory: Path) -> str | None:
    """The revision of an unfinished write; None if there is none.

    It is empty if the marker cannot be read.
    """
    try:
        return read_marker(directory)
    except NotADirectoryError:
        return None
    except OSError:
        return ""


def write_note(directory: Path, name: str, content: bytes) -> None:
    """Write a file that is not part of the policy. Raises PolicyNotWritten."""
    with _reported(directory):
        _write(Path(os.path.realpath(directory, strict=True)) / name, content)


def _names(directory: Path) -> set[str]:
    try:
        return set(file_names(directory))
    except PolicyRefused as refused:
        raise not_written(directory, refused) from refused


def _write(path: Path, data: bytes) -> None:
    """Write a new file, flush it to the disk, and rename it over the old one."""
    temporary = path.with_name(f".{path.name}{_TEMPORARY}")
    # O_NONBLOCK: opening a FIFO must not wait for a reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(temporary, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(None, f"{temporary.name} is not a regular file")
            file.write(data)
            file.flush()
            os.fsync(handle)
        temporary.replace(path)
    except OSError:
        with suppress(OSError):  # the first error is the cause; do not leave the file on a full disk
            temporary.unlink()
        raise


def _sync(root: Path) -> None:
    for folder in (path for name in folders(root) if (path := root / name).is_dir()):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def not_written(directory: Path, refused: PolicyRefused) -> PolicyNotWritten:
    """The error for a directory that holds refused files, which writing might lose."""
    return PolicyNotWritten(f"the policy directory {directory} cannot be written: it holds {refused.faults[0]}")


@contextmanager
def _reported(directory: Path) -> Iterator[None]:
    """Raise errors of the system as PolicyNotWritten."""
    try:
        yield
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise PolicyNotWritten(f"the policy directory {directory} cannot be written: {why}") from error

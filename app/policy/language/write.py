"""Policy files replaced as a whole, so that no process ever takes a mixture of the old and the new.

While the files change, a marker beside them names the revision that they shall make, and every reader refuses
any other. A process that dies in between leaves the marker: a process that knows the new files writes them again.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from app.policy.language.directory import MARKER, file_names, folders, read_marker
from app.policy.language.fault import PolicyRefused

_TEMPORARY = ".new"


class PolicyNotWritten(Exception):
    """The directory cannot be written, or holds what is refused. The message says why, for an operator."""


def lock(directory: Path) -> int | None:
    """Make this the one who writes the files, until `unlock`; None while another process is. Raises PolicyNotWritten.

    The system lets go of it when the process ends, however it does.
    """
    try:
        handle = os.open(os.path.realpath(directory, strict=True), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise _cannot(directory, error) from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(handle)
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return None
        raise _cannot(directory, error) from error
    return handle


def unlock(handle: int) -> None:
    """Let others write."""
    os.close(handle)


def begin(directory: Path, revision: str) -> None:
    """Say which revision the files are about to make. Raises PolicyNotWritten, also for names that `write` refuses."""
    try:
        root = Path(os.path.realpath(directory, strict=True))
        _names(directory)
        _write(root / MARKER, revision.encode())
    except OSError as error:
        raise _cannot(directory, error) from error


def write(directory: Path, files: Mapping[str, bytes]) -> None:
    """Make these the policy files of a directory, and remove all others. Raises PolicyNotWritten.

    Where the directory holds names that are refused, nothing is written: none of these files would be read.
    """
    try:
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
    except OSError as error:
        raise _cannot(directory, error) from error


def finish(directory: Path) -> None:
    """Take the marker away: the files are what it says. Raises PolicyNotWritten."""
    try:
        root = Path(os.path.realpath(directory, strict=True))
        (root / MARKER).unlink(missing_ok=True)
        _sync(root)
    except OSError as error:
        raise _cannot(directory, error) from error


def unfinished(directory: Path) -> str | None:
    """The revision of an unfinished write; None when there is none.

    A marker that cannot be read names none, and is one all the same.
    """
    try:
        return read_marker(directory)
    except NotADirectoryError:
        return None
    except OSError:
        return ""


def write_note(directory: Path, name: str, content: bytes) -> None:
    """Write a file that is no part of the policy. Raises PolicyNotWritten."""
    try:
        _write(Path(os.path.realpath(directory, strict=True)) / name, content)
    except OSError as error:
        raise _cannot(directory, error) from error


def _names(directory: Path) -> set[str]:
    try:
        return set(file_names(directory))
    except PolicyRefused as refused:
        raise refusing(directory, refused) from refused


def _write(path: Path, data: bytes) -> None:
    """As a new file in the old one's place, on the disk before it is there."""
    aside = path.with_name(f".{path.name}{_TEMPORARY}")
    # O_NONBLOCK: opening a FIFO must not wait for a reader.
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC
    handle = os.open(aside, flags, 0o644)
    try:
        with os.fdopen(handle, "wb") as file:
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                raise OSError(None, f"{aside.name} is not a regular file")
            file.write(data)
            file.flush()
            os.fsync(handle)
        aside.replace(path)
    except OSError:
        with suppress(OSError):  # the first error says what is wrong; on a full disk this one must not stay
            aside.unlink()
        raise


def _sync(root: Path) -> None:
    for folder in (path for name in folders(root) if (path := root / name).is_dir()):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def refusing(directory: Path, refused: PolicyRefused) -> PolicyNotWritten:
    """The error of a directory whose files are refused, so that it is unknown what writing it would lose."""
    return PolicyNotWritten(f"the policy directory {directory} cannot be written: it holds {refused.faults[0]}")


def _cannot(directory: Path, error: OSError) -> PolicyNotWritten:
    why = (error.strerror or str(error)).lower()
    return PolicyNotWritten(f"the policy directory {directory} cannot be written: {why}")

"""Reads a policy directory, with limits.

The directory is not trusted: a FIFO, a device, a loop of links or a huge file is a fault, never a hang.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.file_names import (
    FOLDERS,
    FRAGMENTS,
    escaped_name,
    is_fragment_folder,
    is_hidden,
    is_leftover,
    is_policy_file,
    stray_fault,
)
from app.policy.language.source import MAX_BYTES, MAX_FILE_BYTES, MAX_FILES, PolicySource, digest, from_bytes, shown

# Present while the files are written: their new revision.
MARKER = ".publishing"
# The entry of the history that the files hold.
STAMP = ".served"

MAX_NOTE_BYTES = 1_000  # of each of these two files

MAX_FOLDERS = 100  # with parts of OpenAPI documents

_NOTHING_UNSAVED: Mapping[str, bytes] = MappingProxyType({})
_LOOKS = 5
_PAUSE_SECONDS = 0.02
# Not a fault of the policy and often temporary, so reading is retried before the policy is refused.
_NO_DESCRIPTORS = (errno.EMFILE, errno.ENFILE)
_DESCRIPTORS_SECONDS = 20.0
_DESCRIPTORS_PAUSE_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class _DirectoryState:
    """The contents of a directory at one moment: policy files, ignored files, and faults."""

    raw: Mapping[str, bytes]
    ignored: tuple[str, ...]
    faults: tuple[Fault, ...]


def read(directory: Path, unsaved: Mapping[str, bytes] = _NOTHING_UNSAVED) -> PolicySource:
    """Read a policy directory. Each file that cannot be read is a fault of the source.

    The files are read until two reads agree, since a mixture of an old and a new policy may open what both close.
    `unsaved` replaces the bytes of files, or adds files, as an editor has them. Raises PolicyRefused if the reads never
    agree or exceed a limit.
    """
    before = _look(directory)
    for _ in range(_LOOKS):
        now = _look(directory)
        if now == before:
            _check_complete(directory, now.raw)
            faults = (fault for fault in now.faults if fault.file not in unsaved)
            return from_bytes({**now.raw, **unsaved}, faults, now.ignored)
        before = now
        time.sleep(_PAUSE_SECONDS)
    message = "the files changed while they were read"
    raise PolicyRefused([Fault.of_file("in-motion", ".", message, "reload when all of them are written")])


def file_names(directory: Path) -> list[str]:
    """The names of the policy files in a directory. Raises PolicyRefused if it holds stray files."""
    faults: list[Fault] = []
    names, _ = _names(Path(os.path.realpath(directory)), faults)
    if faults:
        raise PolicyRefused(faults)
    return names


def folders(root: Path) -> list[str]:
    """The folders for policy files, whether they exist or not; `` is the directory itself."""
    found = list(FOLDERS)
    for folder in found:
        if folder != FRAGMENTS and not is_fragment_folder(folder):
            continue
        try:
            with os.scandir(root / folder) as entries:
                nested = sorted(f"{folder}/{entry.name}" for entry in entries if _is_folder(entry))
        except OSError:
            continue
        found += filter(is_fragment_folder, nested)
        if len(found) > MAX_FOLDERS:
            break
    return found[:MAX_FOLDERS]


def raw_files(directory: Path) -> dict[str, bytes]:
    """The bytes of all policy files of a directory, by name. Raises PolicyRefused."""
    look = _look(directory)
    if look.faults:
        raise PolicyRefused(look.faults)
    return dict(look.raw)


def read_marker(directory: Path) -> str | None:
    """The revision that the files are being changed to; None if there is no marker. Raises OSError."""
    try:
        return read_regular(directory / MARKER, MAX_NOTE_BYTES).decode("ascii", "replace")
    except (FileNotFoundError, NotADirectoryError):  # refused elsewhere
        return None


def read_regular(path: Path, most: int) -> bytes:
    """Read a file of at most `most` bytes. Raises OSError if it has more or is not a regular file."""
    # O_NONBLOCK: opening a FIFO must not wait for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is not a regular file")
        if status.st_size > most:
            raise OSError(None, f"it has {status.st_size} bytes, the limit is {most}")
        data = file.read(status.st_size + 1)  # a buffer of the limit would be allocated for each file
        if len(data) > status.st_size:  # it grew meanwhile
            data += file.read(most + 1 - len(data))
    if len(data) > most:
        raise OSError(None, f"it grew beyond {most} bytes while it was read")
    return data


def _check_complete(directory: Path, raw: Mapping[str, bytes]) -> None:
    """Refuse files whose revision differs from that in the marker of their writer."""
    try:
        coming = read_marker(directory)
    except OSError as error:
        message = f"the marker of an unfinished publish cannot be read: {_why(error)}"
        hint = "start `authz serve`, which recovers from it, or delete it"
        raise PolicyRefused([Fault.of_file("in-motion", MARKER, message, hint)]) from error
    if coming is None:
        return
    if coming != digest(raw):
        message = f"these files are being changed to the revision {shown(coming)}"
        hint = f"wait; if no publish is running, start `authz serve`, which recovers it, or delete {MARKER}"
        raise PolicyRefused([Fault.of_file("in-motion", ".", message, hint)])


class _NoDescriptors(Exception):
    """The process, or the system, has no file descriptor left."""


def _look(directory: Path) -> _DirectoryState:
    """Look at a directory, and wait while the process has no file descriptor for that. Raises PolicyRefused."""
    deadline = time.monotonic() + _DESCRIPTORS_SECONDS
    while True:
        try:
            return _look_once(directory)
        except _NoDescriptors:
            if time.monotonic() >= deadline:
                message = "cannot be read: the process has no file descriptor left"
                raise PolicyRefused(
                    [Fault.of_file("unreadable", ".", message, "raise its limit of open files")]
                ) from None
        time.sleep(_DESCRIPTORS_PAUSE_SECONDS)


def _look_once(directory: Path) -> _DirectoryState:
    faults: list[Fault] = []
    raw: dict[str, bytes] = {}
    try:
        # Resolve a link to the directory once, so that replacing it meanwhile cannot mix two policies.
        root = Path(os.path.realpath(directory, strict=True))
    except OSError as error:
        message = f"the policy directory cannot be read: {_why(error)}"
        raise PolicyRefused([Fault.of_file("no-directory", str(directory), message, "set AUTHZ_POLICY_DIR")]) from error
    total = 0
    names, ignored = _names(root, faults)
    for name in names:
        try:
            raw[name] = _read_file(root, name)
        except OSError as error:
            faults.append(_unreadable(name, error))
            continue
        total += len(raw[name])
        if total > MAX_BYTES:
            fault = Fault.of_file("too-large", name, f"with this file the policy has more than {MAX_BYTES} bytes")
            raise PolicyRefused([*faults, fault])
    return _DirectoryState(raw, ignored, tuple(sorted(faults, key=lambda fault: (fault.file, fault.code))))


def _names(root: Path, faults: list[Fault]) -> tuple[list[str], tuple[str, ...]]:
    """The policy files and the ignored files of a directory. Any other name is a fault. Raises PolicyRefused."""
    found: list[str] = []
    ignored: list[str] = []
    for path, is_folder in _entries(root, faults):
        if is_policy_file(path):
            found.append(path)
        elif is_leftover(path.rpartition("/")[2], is_folder=is_folder):
            ignored.append(escaped_name(path))
        else:
            faults.append(stray_fault(path, is_folder=is_folder))
        if len(found) + len(ignored) + len(faults) > MAX_FILES:
            raise PolicyRefused([*faults, Fault.of_file("too-many-files", ".", f"more than {MAX_FILES} files")])
    return sorted(found), tuple(sorted(ignored))


def _entries(root: Path, faults: list[Fault]) -> Iterator[tuple[str, bool]]:
    found = [""]
    for folder in found:
        try:
            with os.scandir(_inside(root, folder)) as entries:
                for entry in entries:
                    path = f"{folder}/{entry.name}" if folder else entry.name
                    if path in FOLDERS or (is_fragment_folder(path) and _is_folder(entry)):
                        found.append(path)
                    elif not is_hidden(folder, entry.name):
                        yield path, _is_folder(entry)
        except OSError as error:
            faults.append(_unreadable(folder or ".", error))
        if len(found) > MAX_FOLDERS:
            raise PolicyRefused([*faults, Fault.of_file("too-many-files", folder, f"more than {MAX_FOLDERS} folders")])


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # a loop of links
        return False


def _read_file(root: Path, name: str) -> bytes:
    return read_regular(_inside(root, name), MAX_FILE_BYTES)


def _inside(root: Path, name: str) -> Path:
    """The path of a file or folder, without links. Raises OSError if it is out of the directory."""
    # Not pathlib's own: it raises RuntimeError for a loop of links.
    path = Path(os.path.realpath(root / name, strict=True))
    if not path.is_relative_to(root):
        # Faults quote lines and names, and a policy author must not see those of other files.
        raise OSError(None, "it is a link that leads out of the directory")
    if ".git" in path.relative_to(root).parts:  # its configuration may have credentials
        raise OSError(None, "it is a link into `.git`")
    return path


def _unreadable(name: str, error: OSError) -> Fault:
    """The fault of an unreadable file. Raises _NoDescriptors if the process has no file descriptor left."""
    if error.errno in _NO_DESCRIPTORS:
        raise _NoDescriptors from error
    return Fault.of_file("unreadable", name, f"cannot be read: {_why(error)}", _remedy(error))


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _remedy(error: OSError) -> str:
    return "a policy file must be a regular text file" if error.errno is None else "check its owner, mode and links"

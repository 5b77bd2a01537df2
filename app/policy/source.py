"""Policy files as bytes: read with limits, named by their digest.

Nothing here trusts the directory: a FIFO, a device, a loop of links or a huge file is a fault, never a hang.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from app.policy.fault import Fault, PolicyRefused, did_you_mean

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_BYTES = 32 * 1024 * 1024
MAX_FILES = 500
MAX_LINE = 4000
SHOWN = 400
END = "# end"
REQUIRED = ("model.conf", "permissions.toml")
FOLDERS = {
    "": (".csv",),
    "entities": (".yaml",),
    "tests": (".yaml",),
    "upstreams": (".openapi.json", ".openapi.yaml"),
}
# Written by other programs, and a lost part of one closes its endpoints: only their encoding is looked at here.
FOREIGN = "upstreams/"

# For people, beside the files.
_PAGES = ("README.md", "WALKTHROUGH.md")
# Beside the files while somebody writes them anew: the revision that they shall make.
MARKER = ".publishing"

_LOOKS = 5
_PIECE = 100_000  # characters
_PAUSE_SECONDS = 0.02
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,99}")
# Characters that are printable by their category and yet show nothing: fillers, joiners, variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of every policy file by its name, and the revision: a digest of names and bytes."""

    files: Mapping[str, str]
    revision: str

    def line(self, file: str, number: int) -> str:
        """The text of a line, counted from 1; empty where there is none."""
        lines = self.files.get(file, "").split("\n", number)
        return lines[number - 1] if 0 < number <= len(lines) else ""


def lines_of(text: str) -> Iterator[str]:
    """Its lines, one by one: a list of many takes memory, and nobody else goes on while it is made or let go."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def read(directory: Path) -> Source:
    """Read a policy directory. Raises PolicyRefused with each file that cannot be taken as it is.

    The files are read until two looks at them agree: a mixture of an old and a new policy is neither, and may
    open what both close.
    """
    before = _look(directory)
    for _ in range(_LOOKS):
        now = _look(directory)
        if now == before:
            _check_whole(directory, now)
            return from_bytes(now)
        before = now
        time.sleep(_PAUSE_SECONDS)
    message = "the files changed while they were read"
    raise PolicyRefused([Fault("in-motion", ".", 0, 0, message, "reload once they are all written")])


def _check_whole(directory: Path, raw: Mapping[str, bytes]) -> None:
    """Refuse files that are not yet, or no longer, what the one who writes them says."""
    try:
        coming = (directory / MARKER).read_text("ascii", "replace")
    except OSError:
        return
    if coming != digest(raw):
        message = f"these files are being changed to the revision {shown(coming)}"
        hint = f"wait; if nobody publishes, start `authz serve`, which settles it, or delete {MARKER}"
        raise PolicyRefused([Fault("in-motion", ".", 0, 0, message, hint)])


def file_names(directory: Path) -> list[str]:
    """The names of the policy files of a directory. Raises PolicyRefused for one that holds others."""
    faults: list[Fault] = []
    names = _names(directory, faults)
    if faults:
        raise PolicyRefused(faults)
    return names


def raw_files(directory: Path) -> dict[str, bytes]:
    """The bytes of every policy file of a directory, by name. Raises PolicyRefused."""
    return _look(directory)


def from_bytes(raw: Mapping[str, bytes]) -> Source:
    """A source from the bytes of its files. Raises PolicyRefused for stray names and for what is no plain text."""
    faults = [fault for name in raw if (fault := _name_fault(name))]
    if len(raw) > MAX_FILES:
        faults.append(Fault("too-many-files", ".", 0, 0, f"{len(raw)} files, where {MAX_FILES} are the most"))
    if (total := sum(map(len, raw.values()))) > MAX_BYTES:
        faults.append(Fault("too-large", ".", 0, 0, f"the files have {total} bytes, where {MAX_BYTES} are the most"))
    faults += [
        Fault("missing-file", name, 0, 0, "this file is missing", "every policy has one")
        for name in REQUIRED
        if name not in raw
    ]
    if faults:
        raise PolicyRefused(faults)
    files = {name: text for name, data in sorted(raw.items()) if (text := _decode(name, data, faults)) is not None}
    if faults:
        raise PolicyRefused(faults)
    return Source(MappingProxyType(files), digest(raw))


def digest(raw: Mapping[str, bytes]) -> str:
    """The revision that these files make: 16 hex digits of a SHA-256 over their names and bytes."""
    total = hashlib.sha256()
    for name, data in sorted(raw.items()):
        total.update(f"{len(name)}:{name}:{len(data)}:".encode())
        total.update(data)
    return total.hexdigest()[:16]


def shown(text: str) -> str:
    """A line as it may be shown: what cannot be seen is marked, and a long line is cut."""
    return "".join(character if _is_seen(character) else "\ufffd" for character in text[:SHOWN])


def _look(directory: Path) -> dict[str, bytes]:
    faults: list[Fault] = []
    raw: dict[str, bytes] = {}
    try:
        # A link to the directory is followed once, so that one that is swapped meanwhile mixes nothing.
        root = Path(os.path.realpath(directory, strict=True))
    except OSError as error:
        message = f"the policy directory cannot be read: {_why(error)}"
        raise PolicyRefused([Fault("no-directory", str(directory), 0, 0, message, "set AUTHZ_POLICY_DIR")]) from error
    total = 0
    for name in _names(root, faults):
        try:
            raw[name] = _read_file(root, name)
        except OSError as error:
            faults.append(Fault("unreadable", name, 0, 0, f"cannot be read: {_why(error)}", _mend(error)))
            continue
        total += len(raw[name])
        if total > MAX_BYTES:
            faults.append(Fault("too-large", name, 0, 0, f"with this file there are more than {MAX_BYTES} bytes"))
            break
    if faults:
        raise PolicyRefused(faults)
    return raw


def _names(root: Path, faults: list[Fault]) -> list[str]:
    """The policy files of a directory. A stray name is a fault: a misspelt file would drop rules."""
    found: list[str] = []
    for path in _entries(root, faults):
        if fault := _name_fault(path):
            faults.append(fault)
        else:
            found.append(path)
        if len(found) + len(faults) > MAX_FILES:
            faults.append(Fault("too-many-files", ".", 0, 0, f"more than {MAX_FILES} files"))
            break
    return sorted(found)


def _entries(root: Path, faults: list[Fault]) -> Iterator[str]:
    folders = [""]
    for folder in folders:
        try:
            with os.scandir(root / folder) as entries:
                for entry in entries:
                    if not folder and entry.name in FOLDERS:
                        folders.append(entry.name)
                    elif not _is_aside(folder, entry.name):
                        yield f"{folder}/{entry.name}" if folder else entry.name
        except OSError as error:
            faults.append(Fault("unreadable", folder or ".", 0, 0, f"cannot be read: {_why(error)}", _mend(error)))


def _is_aside(folder: str, name: str) -> bool:
    """Whether a file is not of the policy and says so by its name: hidden, an editor's own, or a page for people."""
    return name.startswith((".", "#")) or name.endswith("~") or (not folder and name in _PAGES)


def _name_fault(path: str) -> Fault | None:
    folder, _, name = path.rpartition("/")
    if path in REQUIRED or (folder in FOLDERS and _NAME.fullmatch(name) and name.endswith(FOLDERS[folder])):
        return None
    # Written out, for a name may hold what breaks a line of a log.
    plain = path.encode("unicode_escape").decode()[:SHOWN]
    if not _NAME.fullmatch(name):
        hint = "name it with letters, digits, `.`, `_` and `-`"
    else:
        hint = "" if folder else did_you_mean(name, [*REQUIRED, f"{Path(name).stem}.csv"])
    return Fault("stray-file", plain, 0, 0, "this is no policy file", hint or "move it out of the directory")


def _read_file(root: Path, name: str) -> bytes:
    # Not pathlib's own: it raises RuntimeError for a loop of links.
    path = Path(os.path.realpath(root / name, strict=True))
    if not path.is_relative_to(root):
        # Faults show lines, and nobody who may only write policies should be shown other files.
        raise OSError(None, "it is a link that leads out of the directory")
    # O_NONBLOCK: opening a FIFO must not wait for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_NOFOLLOW | os.O_CLOEXEC)
    with os.fdopen(handle, "rb") as file:
        status = os.fstat(handle)
        if not stat.S_ISREG(status.st_mode):
            raise OSError(None, "it is not a regular file")
        if status.st_size > MAX_FILE_BYTES:
            raise OSError(None, f"it has {status.st_size} bytes, where {MAX_FILE_BYTES} are the most")
        data = file.read(MAX_FILE_BYTES + 1)
    if len(data) > MAX_FILE_BYTES:
        raise OSError(None, f"it grew over {MAX_FILE_BYTES} bytes while it was read")
    return data


def _decode(name: str, data: bytes, faults: list[Fault]) -> str | None:
    fault = _text_fault(name, data)
    if fault is None:
        return data.decode("utf-8")
    faults.append(fault)
    return None


def _text_fault(name: str, data: bytes) -> Fault | None:
    if len(data) > MAX_FILE_BYTES:
        return Fault("too-large", name, 0, 0, f"it has {len(data)} bytes, where {MAX_FILE_BYTES} are the most")
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        hint = "save the file as UTF-8"
        return _fault_at("encoding", name, good + "\ufffd", len(good), message="this byte is not UTF-8", hint=hint)
    if name.startswith(FOREIGN):
        return None
    if (unseen := _first_unseen(text)) is not None:
        character = text[unseen]
        message = f"the character U+{ord(character):04X} cannot be seen and is not allowed"
        hint = _UNSEEN_HINTS.get(character, "delete it")
        return _fault_at("unseen-character", name, text, unseen, message=message, hint=hint)
    # A file cut short between two rows still parses, and a lost deny opens access: hence a last line.
    whole = f"\n{text}"
    if not whole.endswith(f"\n{END}\n"):
        message = f"the file may have been cut short: its last line is not `{END}`"
        last = len(text) - text.endswith("\n")
        hint = f"end the file with a line `{END}` and a line break"
        return _fault_at("cut-short", name, text, last, message=message, hint=hint)
    if (early := whole.index(f"\n{END}\n")) < len(text) - len(f"{END}\n"):
        message = f"`{END}` stands before the end of the file"
        return Fault("early-end", name, whole.count("\n", 0, early + 1), 1, message, "delete this line", len(END), END)
    for number, line in enumerate(lines_of(text), 1):
        if len(line) > MAX_LINE:
            message = f"the line has {len(line)} characters, where {MAX_LINE} are the most"
            return Fault("long-line", name, number, MAX_LINE + 1, message, "break it up", text=shown(line))
    return None


_UNSEEN_HINTS = {
    "\r": "save the file with LF line breaks",
    "\ufeff": "save the file as UTF-8 without a byte order mark",
    "\u00a0": "write a plain space",
}


def _first_unseen(text: str) -> int | None:
    """Where a character is that shows one policy to a reader and another to the parser."""
    # Many at once first, for this runs over every byte of every policy; but not so many that others wait for it.
    for start in range(0, len(text), _PIECE):
        piece = text[start : start + _PIECE]
        flat = piece.replace("\n", "").replace("\t", "")
        if not flat.isprintable() or (not flat.isascii() and _BLANK.search(flat)):
            return next(
                at for at, character in enumerate(piece, start) if not _is_seen(character) and character != "\n"
            )
    return None


def _is_seen(character: str) -> bool:
    return character == "\t" or (character.isprintable() and not _BLANK.match(character))


def _fault_at(code: str, name: str, text: str, index: int, *, message: str, hint: str) -> Fault:
    start = text.rfind("\n", 0, index) + 1
    line = text[start:].partition("\n")[0]
    return Fault(code, name, text.count("\n", 0, index) + 1, index - start + 1, message, hint, text=shown(line))


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _mend(error: OSError) -> str:
    return "a policy file is a plain file of text" if error.errno is None else "look at its owner, mode and links"

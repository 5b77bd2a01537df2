"""Policy files as bytes: read with limits, named by their digest.

Nothing here trusts the directory: a FIFO, a device, a loop of links or a huge file is a fault, never a hang.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from app.policy.fault import Fault, PolicyRefused, did_you_mean

MAX_FILE_BYTES = 16 * 1024 * 1024
MAX_FILES = 500
END = "# end"
REQUIRED = ("model.conf", "permissions.toml")
FOLDERS = {"": (".csv",), "tests": (".yaml",)}

# Bytes that show one policy to a reader and another to the parser: controls, byte order marks, bidi marks.
_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069\u200b-\u200f\ufeff]")


@dataclass(frozen=True, slots=True)
class Source:
    """The text of every policy file by its name, and the revision: a digest of names and bytes."""

    files: Mapping[str, str]
    revision: str

    def line(self, file: str, number: int) -> str:
        """The text of a line, counted from 1; empty where there is none."""
        lines = self.files.get(file, "").split("\n")
        return lines[number - 1] if 0 < number <= len(lines) else ""


def read(directory: Path) -> Source:
    """Read a policy directory. Raises PolicyRefused with each file that cannot be taken as it is."""
    faults: list[Fault] = []
    raw: dict[str, bytes] = {}
    for name in _names(directory, faults):
        try:
            raw[name] = _read_file(directory / name)
        except OSError as error:
            faults.append(Fault("unreadable", name, 0, 0, f"cannot be read: {_why(error)}", _mend(error)))
    if faults:
        raise PolicyRefused(faults)
    return from_bytes(raw)


def from_bytes(raw: Mapping[str, bytes]) -> Source:
    """A source from the bytes of its files. Raises PolicyRefused for text that is not plainly text."""
    faults: list[Fault] = []
    files: dict[str, str] = {}
    for name, data in sorted(raw.items()):
        text = _decode(name, data, faults)
        if text is not None:
            files[name] = text
    faults += [
        Fault("missing-file", name, 0, 0, "this file is missing", "every policy has one")
        for name in REQUIRED
        if name not in raw
    ]
    if faults:
        raise PolicyRefused(faults)
    return Source(MappingProxyType(files), digest(raw))


def digest(raw: Mapping[str, bytes]) -> str:
    """The revision that these files make: 16 hex digits of a SHA-256 over their names and bytes."""
    total = hashlib.sha256()
    for name, data in sorted(raw.items()):
        total.update(f"{len(name)}:{name}:{len(data)}:".encode() + data)
    return total.hexdigest()[:16]


def _names(directory: Path, faults: list[Fault]) -> list[str]:
    """The policy files below a directory. A stray name is a fault: a misspelt file would drop rules."""
    found: list[str] = []
    for folder, endings in FOLDERS.items():
        try:
            entries = sorted(entry.name for entry in os.scandir(directory / folder))
        except FileNotFoundError:
            if not folder:
                message = "there is no such directory"
                faults.append(Fault("no-directory", str(directory), 0, 0, message, "set AUTHZ_POLICY_DIR"))
            continue
        except OSError as error:
            faults.append(Fault("unreadable", folder or ".", 0, 0, f"cannot be read: {_why(error)}", _mend(error)))
            continue
        for name in entries:
            path = f"{folder}/{name}" if folder else name
            if name.startswith(".") or name.endswith("~") or path == "README.md" or path in FOLDERS:
                continue
            if name.endswith(endings) or path in REQUIRED:
                found.append(path)
                continue
            hint = "" if folder else did_you_mean(name, [*REQUIRED, f"{Path(name).stem}.csv"])
            mend = hint or "move it out of the directory"
            faults.append(Fault("stray-file", path, 0, 0, "this is no policy file", mend))
    if len(found) > MAX_FILES:
        faults.append(Fault("too-many-files", ".", 0, 0, f"{len(found)} files, where {MAX_FILES} are the most"))
    return found[:MAX_FILES]


def _read_file(path: Path) -> bytes:
    # O_NONBLOCK: opening a FIFO must not wait for a writer.
    handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
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
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start]
        line, column = before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1
        faults.append(Fault("encoding", name, line, column, "this byte is not UTF-8", "save the file as UTF-8"))
        return None
    if unseen := _UNSEEN.search(text):
        faults.append(_unseen(name, text, unseen))
        return None
    # A file cut short between two rows still parses, and a lost deny opens access: hence a last line.
    lines = text.split("\n")
    if lines[-2:] != [END, ""]:
        number = len(lines) - (lines[-1] == "" and len(lines) > 1)
        message = f"the file may have been cut short: its last line is not `{END}`"
        hint = f"end the file with a line that says `{END}` and a line break"
        last = lines[number - 1]
        faults.append(Fault("cut-short", name, number, len(last) + 1, message, hint, text=last))
        return None
    if (early := lines.index(END) + 1) < len(lines) - 1:
        message = f"`{END}` stands before the end of the file"
        faults.append(Fault("early-end", name, early, 1, message, "delete this line", len(END), END))
        return None
    return text


def _unseen(name: str, text: str, match: re.Match[str]) -> Fault:
    start = match.start()
    line, column = text.count("\n", 0, start) + 1, start - (text.rfind("\n", 0, start) + 1) + 1
    character = match.group()
    hint = {
        "\r": "save the file with LF line breaks",
        "\ufeff": "save the file as UTF-8 without a byte order mark",
    }
    return Fault(
        "unseen-character",
        name,
        line,
        column,
        f"the character U+{ord(character):04X} cannot be seen and is not allowed",
        hint.get(character, "delete it"),
    )


def _why(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _mend(error: OSError) -> str:
    return "a policy file is a plain file of text" if error.errno is None else "look at its owner, mode and links"

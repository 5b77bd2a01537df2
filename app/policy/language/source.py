"""The text of policy files, with limits, named by their digest."""

from __future__ import annotations

import hashlib
import re
from codecs import BOM_UTF8
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.file_names import REQUIRED, is_policy_file, stray_fault

MAX_FILE_BYTES = 24 * 1024 * 1024
MAX_BYTES = 48 * 1024 * 1024
MAX_FILES = 500
MAX_LINE = 4000
SHOWN = 400
END = "# end"
# Written by other programs, and a lost part of one closes its endpoints: only their encoding is looked at here.
FOREIGN = "upstreams/"

# Faults of names and texts with which every row can be read.
_LEGIBLE = frozenset({"cut-short", "early-end", "long-line", "stray-file"})
_PIECE = 100_000  # characters
# Characters that are printable by their category and yet show nothing: fillers, joiners, variation selectors.
_BLANK = re.compile("[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]")


@dataclass(frozen=True, slots=True)
class PolicySource:
    """The text of every policy file by its name, and the revision: a digest of names and texts.

    Lines end with a line feed, however the files have it. `faults` are those of names and texts, with which this is
    no policy; a file whose text cannot be read as it is meant is left out then. `ignored` are files beside the policy.
    """

    files: Mapping[str, str]
    revision: str
    faults: tuple[Fault, ...] = ()
    ignored: tuple[str, ...] = ()

    @property
    def is_legible(self) -> bool:
        """Whether every file was read to its end, so that its faults need not hide those of rows against routes."""
        return all(fault.code in _LEGIBLE for fault in self.faults)

    @property
    def names(self) -> frozenset[str]:
        """The files that there are, those whose text cannot be read included."""
        return frozenset(self.files) | {fault.file for fault in self.faults if fault.code != "missing-file"}

    def line(self, file: str, number: int) -> str:
        """The text of a line, counted from 1; empty where there is none."""
        lines = self.files.get(file, "").split("\n", number)
        return lines[number - 1] if 0 < number <= len(lines) else ""


def lines_of(text: str) -> Iterator[str]:
    """Its lines, one by one: a list of many takes memory, and every other thread waits while it is created or freed."""
    start = 0
    while (end := text.find("\n", start)) >= 0:
        yield text[start:end]
        start = end + 1
    yield text[start:]


def from_bytes(raw: Mapping[str, bytes], faults: Iterable[Fault] = (), ignored: tuple[str, ...] = ()) -> PolicySource:
    """A source from the bytes of its files; `faults` are those known already. Raises PolicyRefused for too much."""
    found = list(faults)
    if len(raw) > MAX_FILES:
        found.append(Fault("too-many-files", ".", 0, 0, f"{len(raw)} files, where {MAX_FILES} are the most"))
        raise PolicyRefused(found)
    if (total := sum(map(len, raw.values()))) > MAX_BYTES:
        found.append(Fault("too-large", ".", 0, 0, f"the files have {total} bytes, where {MAX_BYTES} are the most"))
        raise PolicyRefused(found)
    known = {fault.file for fault in found} | raw.keys()
    found += [
        Fault("missing-file", name, 0, 0, "this file is missing", "every policy has one")
        for name in REQUIRED
        if name not in known
    ]
    files: dict[str, str] = {}
    for name, data in sorted(raw.items()):
        if not is_policy_file(name):
            found.append(stray_fault(name))
        elif (text := _decode(name, data, found)) is not None:
            files[name] = text
    return PolicySource(MappingProxyType(files), digest(raw), tuple(found), ignored)


def digest(raw: Mapping[str, bytes]) -> str:
    """The revision that these files make: 16 hex digits of a SHA-256 over their names and bytes.

    A line break counts as a line feed, as which it is read: a checkout with CRLF is the same revision.
    """
    total = hashlib.sha256()
    for name, data in sorted(raw.items()):
        plain = _with_line_feeds(name, data)
        total.update(f"{len(name)}:{name}:{len(plain)}:".encode())
        total.update(plain)
    return total.hexdigest()[:16]


def shown(text: str) -> str:
    """A line as it may be shown: what cannot be seen is marked, and a long line is cut."""
    return "".join(character if _is_seen(character) else "\ufffd" for character in text[:SHOWN])


def _with_line_feeds(name: str, data: bytes) -> bytes:
    return data if name.startswith(FOREIGN) or b"\r" not in data else data.replace(b"\r\n", b"\n")


def _decode(name: str, data: bytes, faults: list[Fault]) -> str | None:
    """The text of a file; None for one of which no part can be trusted."""
    if len(data) > MAX_FILE_BYTES:
        message = f"it has {len(data)} bytes, where {MAX_FILE_BYTES} are the most"
        faults.append(Fault("too-large", name, 0, 0, message))
        return None
    data = _with_line_feeds(name, data)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        good = data[: error.start].decode("utf-8")
        hint = "save the file as UTF-8"
        message = "this byte is not UTF-8"
        faults.append(_fault_at("encoding", name, good + "\ufffd", len(good), message=message, hint=hint))
        return None
    if name.startswith(FOREIGN):
        return text
    if (unseen := _first_unseen(text)) is not None:
        character = text[unseen]
        message = f"the character U+{ord(character):04X} cannot be seen and is not allowed"
        if data.startswith(BOM_UTF8):  # at the start of the text, so it is the first that cannot be seen
            message = _BYTE_ORDER_MARK
        hint = _UNSEEN_HINTS.get(character, "delete it")
        faults.append(_fault_at("unseen-character", name, text, unseen, message=message, hint=hint))
        return None
    if name.endswith(".csv"):
        _check_end(name, text, faults)
    for number, line in enumerate(lines_of(text), 1):
        if len(line) > MAX_LINE:
            message = f"the line has {len(line)} characters, where {MAX_LINE} are the most"
            faults.append(Fault("long-line", name, number, MAX_LINE + 1, message, "break it up", text=shown(line)))
            break
    return text


def _check_end(name: str, text: str, faults: list[Fault]) -> None:
    """A file of rows that was cut short between two of them still parses, and a lost deny opens access."""
    framed = f"\n{text}"
    if not framed.endswith(f"\n{END}\n"):
        message = f"the file may have been cut short: its last line is not `{END}`"
        last = len(text) - text.endswith("\n")
        hint = f"end the file with a line `{END}` and a line break; `authz policy check --fix` does"
        faults.append(_fault_at("cut-short", name, text, last, message=message, hint=hint))
    early = framed.find(f"\n{END}\n")
    if 0 <= early < len(text) - len(f"{END}\n"):
        message = f"`{END}` stands before the end of the file"
        line = framed.count("\n", 0, early + 1)
        faults.append(Fault("early-end", name, line, 1, message, "delete this line", len(END), END))


_BYTE_ORDER_MARK = "the file begins with a byte order mark (U+FEFF), as Excel's `CSV UTF-8` does, which is not allowed"
_UNSEEN_HINTS = {
    "\r": "end each line with LF or CR LF",
    "\ufeff": "save the file as UTF-8 without a byte order mark, or run `authz policy check --fix`, which removes it",
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

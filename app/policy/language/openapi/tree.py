"""The parsed parts of a document: its servers, and the methods, servers and references of each path."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum, auto

MAX_DEPTH = 100
MAX_MERGED = 200_000  # keys that merges of a document copy

FIXED = ("get", "head", "post", "put", "patch", "delete", "options", "trace", "query")


class Unreadable(Exception):
    """The document cannot be parsed; the message says why, `line` where, 0 if unknown."""

    def __init__(self, message: str, hint: str = "", line: int = 0) -> None:
        super().__init__(message)
        self.hint = hint
        self.line = line


@dataclass(slots=True)
class Branch:
    """A mapping, with the line of each key. Values that are not parsed are None."""

    entries: dict[str, Value] = field(default_factory=dict)
    lines: dict[str, int] = field(default_factory=dict)
    line: int = 0

    def get(self, key: str) -> Value:
        """The value of a key; None if it is absent."""
        return self.entries.get(key)

    def line_of(self, key: str) -> int:
        """The line of a key, or of the mapping if the key is absent."""
        return self.lines.get(key, self.line)


# A number is represented by its text.
Value = Branch | list["Value"] | str | None


class Mode(Enum):
    """The role of a value in its document, which determines the parts of it that are parsed."""

    DOCUMENT = auto()
    COMPONENTS = auto()
    PATHS = auto()
    ITEM = auto()
    OPERATIONS = auto()
    OPERATION = auto()
    FRAGMENT = auto()  # a referenced file, which may contain path items anywhere
    ALL = auto()
    NOTHING = auto()


_DOCUMENT = {
    "openapi": Mode.ALL,
    "swagger": Mode.ALL,
    "servers": Mode.ALL,
    "paths": Mode.PATHS,
    "components": Mode.COMPONENTS,
}
_OPERATION = {"servers": Mode.ALL, "$ref": Mode.ALL}
_ITEM = {**_OPERATION, **dict.fromkeys(FIXED, Mode.OPERATION), "additionalOperations": Mode.OPERATIONS}


def below(mode: Mode, key: str) -> Mode:
    """The mode of the value of a key."""
    match mode:
        case Mode.ALL | Mode.NOTHING:
            return mode
        case Mode.DOCUMENT:
            return _DOCUMENT.get(key, Mode.NOTHING)
        case Mode.COMPONENTS:
            return Mode.PATHS if key == "pathItems" else Mode.NOTHING
        case Mode.PATHS:
            return Mode.ITEM
        case Mode.ITEM:
            return _ITEM.get(key, Mode.NOTHING)
        case Mode.OPERATIONS:
            return Mode.OPERATION
        case Mode.OPERATION:
            return _OPERATION.get(key, Mode.NOTHING)
        case Mode.FRAGMENT:
            return _ITEM.get(key, Mode.FRAGMENT)


def duplicate_key(key: str, line: int) -> Unreadable:
    """The fault of a duplicate key, of which two programs could use different values."""
    return Unreadable(f"`{key}` is repeated in one mapping", "keep one of them", line)


def too_deep() -> Unreadable:
    """The fault of a document that is nested too deeply."""
    return Unreadable("the document is nested too deeply")

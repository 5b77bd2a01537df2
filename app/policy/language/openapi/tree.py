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


_PLAIN_OPERATION = Branch()

# A number is represented by its text.
Value = Branch | list["Value"] | str | None


class Mode(Enum):
    """The role of a value in its document, which determines the parts of it that are parsed."""

    __hash__ = object.__hash__  # by identity, as members are compared: the hash of Enum is computed in Python

    DOCUMENT = auto()
    COMPONENTS = auto()
    PATHS = auto()
    ITEM = auto()
    OPERATIONS = auto()
    OPERATION = auto()
    FRAGMENT = auto()  # a referenced file, which may contain path items anywhere
    ALL = auto()
    NOTHING = auto()


_OPERATION = {"servers": Mode.ALL, "$ref": Mode.ALL}
_ITEM = {**_OPERATION, **dict.fromkeys(FIXED, Mode.OPERATION), "additionalOperations": Mode.OPERATIONS}
_DOCUMENT = {
    "openapi": Mode.ALL,
    "swagger": Mode.ALL,
    "servers": Mode.ALL,
    "paths": Mode.PATHS,
    "components": Mode.COMPONENTS,
}
_BELOW: dict[Mode, tuple[dict[str, Mode], Mode]] = {
    Mode.DOCUMENT: (_DOCUMENT, Mode.NOTHING),
    Mode.COMPONENTS: ({"pathItems": Mode.PATHS}, Mode.NOTHING),
    Mode.PATHS: ({}, Mode.ITEM),
    Mode.ITEM: (_ITEM, Mode.NOTHING),
    Mode.OPERATIONS: ({}, Mode.OPERATION),
    Mode.OPERATION: (_OPERATION, Mode.NOTHING),
    Mode.FRAGMENT: (_ITEM, Mode.FRAGMENT),
    Mode.ALL: ({}, Mode.ALL),
    Mode.NOTHING: ({}, Mode.NOTHING),
}
_NO_LINES: dict[str, int] = {}


def below(mode: Mode) -> tuple[dict[str, Mode], Mode]:
    """The modes of the values in a mapping: by key, and of all other keys."""
    return _BELOW[mode]


class Compaction:
    """Drops the parts of one document that nothing reads, and shares what is equal then: most of a large document.

    Only its servers and references matter of an operation, and only the line of a reference of an item.
    """

    def __init__(self) -> None:
        self._alike: dict[tuple[object, ...], Branch] = {}

    def compacted(self, branch: Branch, mode: Mode) -> Branch:
        """A complete mapping without what nothing reads."""
        if mode is Mode.OPERATION and _OPERATION.keys().isdisjoint(branch.entries):
            return _PLAIN_OPERATION
        if mode is Mode.ITEM and "$ref" not in branch.entries:
            branch.lines = _NO_LINES
            values = branch.entries.values()
            if all([value is _PLAIN_OPERATION or value is None for value in values]):  # noqa: C419  # faster
                key = (*branch.entries, *(value is None for value in values))
                return self._alike.setdefault(key, branch)
        return branch


def duplicate_key(key: str, line: int) -> Unreadable:
    """The fault of a duplicate key, of which two programs could use different values."""
    return Unreadable(f"`{key}` is repeated in one mapping", "keep one of them", line)


def too_deep() -> Unreadable:
    """The fault of a document that is nested too deeply."""
    return Unreadable("the document is nested too deeply")

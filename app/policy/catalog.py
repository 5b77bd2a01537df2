"""`permissions.toml`: the public catalogue of permissions, each with what it grants."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.policy.fault import Fault
from app.policy.source import Source

FILE = "permissions.toml"
_NAME = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_RESERVED = frozenset({"auth", "env", "user", "key", "role"})
_KEYS = {"title": str, "grants": str, "deprecated": bool}


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission as its holders read it."""

    name: str
    title: str
    grants: str
    deprecated: bool = False


def load(source: Source, faults: list[Fault]) -> Mapping[str, Permission]:
    """The catalogue by name; what is wrong with it goes to `faults`."""
    text = source.files[FILE]
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (text.count("\n"), 1)
        message = str(error).split(" (at ", maxsplit=1)[0].lower()
        faults.append(Fault("toml", FILE, line, column, f"not TOML: {message}", text=source.line(FILE, line)))
        return {}
    catalog: dict[str, Permission] = {}
    for name, entry in document.items():
        if fault := _entry_fault(name, entry):
            message, hint, word = fault
            faults.append(_at(source, name, word, message, hint))
        else:
            catalog[name] = Permission(name, **entry)
    if not document:
        faults.append(Fault("catalog", FILE, 1, 1, "the catalogue names no permission", _example("catalog:read")))
    return MappingProxyType(catalog)


def _entry_fault(name: str, entry: object) -> tuple[str, str, str] | None:
    if not _NAME.fullmatch(name):
        return f"`{name}` is no permission", "a permission is `<resource>:<verb>` in lower case", name
    if name.split(":", maxsplit=1)[0] in _RESERVED:
        return (
            f"`{name}` is reserved for facts that only the server states",
            "choose another resource name",
            name,
        )
    if not isinstance(entry, dict):
        return f"`{name}` is not a table", _example(name), name
    for key, value in entry.items():
        if key not in _KEYS:
            return f"`{key}` is not known here", f"known are {', '.join(_KEYS)}", key
        if type(value) is not _KEYS[key] or value == "":
            kind = "true or false" if _KEYS[key] is bool else "a text"
            return f"`{key}` must be {kind}", _example(name), key
    for key in ("title", "grants"):
        if key not in entry:
            return f"`{name}` has no `{key}`", _example(name), name
    return None


def _example(name: str) -> str:
    return f'write ["{name}"], then title = "…" and grants = "…" below it'


def _at(source: Source, name: str, word: str, message: str, hint: str) -> Fault:
    lines = source.files[FILE].split("\n")
    # TOML's parser keeps no places: look for the entry, then for the word below it.
    entry = next((n for n, line in enumerate(lines) if line.lstrip().startswith("[") and name in line), 0)
    number = next((n for n, line in enumerate(lines[entry:], entry) if word in line), entry)
    column = lines[number].find(word) + 1
    return Fault("catalog", FILE, number + 1, max(column, 1), message, hint, max(len(word), 1), lines[number])

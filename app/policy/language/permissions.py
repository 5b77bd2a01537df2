"""`permissions.toml`: the public catalogue of permissions, each with what it grants."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource, shown

FILE = "permissions.toml"
# TOML's parser is quadratic in the parts of a key; this keeps the worst file at a few seconds.
MAX_CHARACTERS = 256 * 1024
MAX_FAULTS = 20

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


def load(source: PolicySource, faults: list[Fault]) -> Mapping[str, Permission]:
    """The catalogue by name; what is wrong with it goes to `faults`."""
    text = source.files.get(FILE)
    if text is None:
        return {}  # as the faults of the source say
    if len(text) > MAX_CHARACTERS:
        faults.append(Fault("toml", FILE, 0, 0, f"it has {len(text)} characters, where {MAX_CHARACTERS} are the most"))
        return {}
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        faults.append(_not_toml(source, error))
        return {}
    catalog: dict[str, Permission] = {}
    before = len(faults)
    for name, entry in document.items():
        if len(faults) - before >= MAX_FAULTS:
            break
        if fault := _entry_fault(name, entry):
            message, hint, word = fault
            faults.append(_at(source, name, shown(message), shown(hint), word))
        else:
            catalog[name] = Permission(name, **entry)
    if not document:
        hint = _example("catalog:read")
        faults.append(_fault(source, max(text.count("\n"), 1), 1, "the catalogue names no permission", hint))
    return MappingProxyType(catalog)


def _entry_fault(name: str, entry: object) -> tuple[str, str, str] | None:
    """What is wrong with an entry: message, hint, and the word at fault."""
    if not _NAME.fullmatch(name):
        return f"`{name}` is no permission", "a permission is `<resource>:<verb>` in lower case", name
    if name.split(":", maxsplit=1)[0] in _RESERVED:
        return f"`{name}` is reserved for facts that only the server states", "choose another resource name", name
    if not isinstance(entry, dict):
        return f"`{name}` is not a table", _example(name), name
    for key, value in entry.items():
        if key not in _KEYS:
            return f"`{key}` is not known here", f"known are {', '.join(_KEYS)}", key
        if type(value) is not _KEYS[key]:
            return f"`{key}` must be {'true or false' if _KEYS[key] is bool else 'a text'}", _example(name), key
        if isinstance(value, str) and not (value.strip() and value.isprintable()):
            return f"`{key}` must be one line of text that can be seen", _example(name), key
    for key in ("title", "grants"):
        if key not in entry:
            return f"`{name}` has no `{key}`", _example(name), name
    return None


def _example(name: str) -> str:
    return f'write ["{name}"], then title = "…" and grants = "…" below it'


def _not_toml(source: PolicySource, error: ValueError | RecursionError) -> Fault:
    if isinstance(error, tomllib.TOMLDecodeError):
        message = str(error).split(" (at ", maxsplit=1)[0]
        place = re.search(r"\(at line (\d+), column (\d+)\)", str(error))
        line, column = (int(place[1]), int(place[2])) if place else (max(source.files[FILE].count("\n"), 1), 1)
        return _fault(source, line, column, shown(f"not TOML: {message[:1].lower()}{message[1:]}"), code="toml")
    what = "it is nested too deep" if isinstance(error, RecursionError) else "a number is too long"
    return _fault(source, _line_of(source.files[FILE], type(error)), 1, f"not TOML: {what}", code="toml")


def _line_of(text: str, kind: type[Exception]) -> int:
    """The line that makes the parser raise what has no place: the last of the shortest beginning that still does."""
    lines = text.split("\n")
    low, high = 1, len(lines)
    while low < high:
        middle = (low + high) // 2
        try:
            tomllib.loads("\n".join(lines[:middle]))
        except tomllib.TOMLDecodeError:
            low = middle + 1
        except kind:
            high = middle
        else:
            low = middle + 1
    return low


def fault_at(source: PolicySource, name: str, code: str, message: str, hint: str) -> Fault:
    """A fault at the entry of a permission."""
    return replace(_at(source, name, message, hint, name), code=code)


def _at(source: PolicySource, name: str, message: str, hint: str, word: str) -> Fault:
    """A fault at a word of an entry. TOML's parser keeps no places: look for the entry, then for the word below it."""
    lines = source.files[FILE].split("\n")
    entry = _find(lines, rf"""\s*\[\s*["']?{re.escape(name)}\b""", 0)
    number = _find(lines, rf"""\s*\[?\s*["']?{re.escape(word)}\b""", entry or 0)
    if number is None:  # spelt with escapes, or in one line with others
        number = entry if entry is not None else next((n for n, line in enumerate(lines) if word in line), 0)
    column = max(lines[number].find(word), 0) + 1
    return _fault(source, number + 1, column, message, hint, length=max(len(word), 1))


def _find(lines: list[str], pattern: str, start: int) -> int | None:
    wanted = re.compile(pattern)
    return next((n for n, line in enumerate(lines[start:], start) if wanted.match(line)), None)


def _fault(
    source: PolicySource,
    line: int,
    column: int,
    message: str,
    hint: str = "",
    *,
    code: str = "catalog",
    length: int = 1,
) -> Fault:
    return Fault(code, FILE, line, column, message, hint, length, source.line(FILE, line))

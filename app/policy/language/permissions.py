"""`permissions.toml`: the public catalogue of permissions, each with a description of what it grants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from app.identity.app_facts import APP_FACTS
from app.identity.org_facts import ORG_FACTS
from app.policy.language.fault import Fault
from app.policy.language.source import PolicySource, shown
from app.policy.language.toml_file import read_toml
from app.policy.language.toml_lines import TomlLines

FILE = "permissions.toml"
MAX_FAULTS = 20

_NAME = re.compile(r"[a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*")
_FACTS = (family.removesuffix(":") for family in (*APP_FACTS, *ORG_FACTS))
_RESERVED = frozenset({"auth", "env", "user", "key", "role", *_FACTS})
_KEYS = {"title": str, "grants": str, "deprecated": bool}


@dataclass(frozen=True, slots=True)
class Permission:
    """A permission, described for its holders."""

    name: str
    title: str
    grants: str
    deprecated: bool = False


def is_reserved(name: str) -> bool:
    """Whether a name belongs to facts that only the server states, and not to a permission."""
    return name.partition(":")[0] in _RESERVED


def load(source: PolicySource, faults: list[Fault]) -> Mapping[str, Permission]:
    """Load the catalogue by name; faults are added to `faults`."""
    text = source.files.get(FILE)
    if text is None:
        return {}  # the source has a fault for that
    document = read_toml(FILE, text, faults)
    if document is None:
        return {}
    catalog: dict[str, Permission] = {}
    before = len(faults)
    lines: TomlLines | None = None
    for name, entry in document.items():
        if len(faults) - before >= MAX_FAULTS:
            break
        if fault := _entry_fault(name, entry):
            message, hint, word = fault
            lines = lines or TomlLines(text)
            faults.append(fault_at(lines, name, "catalog", shown(message), shown(hint), word=word))
        else:
            catalog[name] = Permission(name, **entry)
    if not document:
        line, hint = max(text.count("\n"), 1), _example("catalog:read")
        message = "the catalogue has no permissions"
        faults.append(Fault("catalog", FILE, line, 1, message, hint, text=source.line(FILE, line)))
    return MappingProxyType(catalog)


def _entry_fault(name: str, entry: object) -> tuple[str, str, str] | None:
    """The fault of an entry, as message, hint and word; None if it is valid."""
    if not _NAME.fullmatch(name):
        return f"`{name}` is not a permission", "a permission is `<resource>:<verb>` in lower case", name
    if is_reserved(name):
        return f"`{name}` is reserved for facts that only the server states", "choose another resource name", name
    if not isinstance(entry, dict):
        return f"`{name}` is not a table", _example(name), name
    for key, value in entry.items():
        if key not in _KEYS:
            return f"`{key}` is an unknown key", f"use one of {', '.join(_KEYS)}", key
        if type(value) is not _KEYS[key]:
            return f"`{key}` must be {'true or false' if _KEYS[key] is bool else 'a text'}", _example(name), key
        if isinstance(value, str) and not (value.strip() and value.isprintable()):
            return f"`{key}` must be one line of visible text", _example(name), key
    for key in ("title", "grants"):
        if key not in entry:
            return f"`{name}` has no `{key}`", _example(name), name
    return None


def _example(name: str) -> str:
    return f'write ["{name}"], then title = "…" and grants = "…" below it'


def fault_at(lines: TomlLines, name: str, code: str, message: str, hint: str, *, word: str = "") -> Fault:
    """A fault at the entry of a permission, or at a word of it."""
    line, column = lines.find(name, word or name)
    return Fault(code, FILE, line, column, message, hint, max(len(word or name), 1), lines.line(line))

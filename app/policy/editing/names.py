"""The names that the texts of a policy define or use, for completions: read from texts that may be half written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from app.policy.editing.text_rows import TextRow, text_rows
from app.policy.language import permissions, upstreams
from app.policy.language.fault import Fault
from app.policy.language.grants import is_grant
from app.policy.language.permissions import Permission
from app.policy.language.rule import THING
from app.policy.language.source import PolicySource
from app.policy.routing.routes import RouteTable

# A table of the catalogue, whether the rest of the file can be parsed or not.
_PERMISSION = re.compile(r"""^\[\s*["']?([a-z][a-z0-9_-]*:[a-z][a-z0-9_-]*)["']?\s*\]?""", re.MULTILINE)
_FACT = re.compile(r"(?<![^\s,\"'\[])(?:role|user|key|org|org-role|app|app-host):[^\s,\"'\]]+")


@dataclass(frozen=True, slots=True)
class PolicyNames:
    """Permissions with their descriptions, roles, other facts that occur, routes, and things with their actions."""

    permissions: Mapping[str, Permission]
    roles: tuple[str, ...]
    facts: tuple[str, ...]
    table: RouteTable
    things: Mapping[str, tuple[str, ...]]
    row_files: tuple[str, ...]


def read_names(sources: Mapping[str, str], routes: RouteTable) -> PolicyNames:
    """Read the names in texts. `routes` are those of the application; those of other services are in the texts."""
    catalog = read_catalog(sources)
    found = set[str]()
    for file, text in sources.items():
        if file.endswith(".csv") or file.startswith("tests/"):
            found |= _facts_in(text)
    facts = sorted(fact for fact in found if is_grant(fact, catalog))
    return PolicyNames(
        catalog,
        tuple(fact for fact in facts if fact.startswith("role:")),
        tuple(fact for fact in facts if not fact.startswith("role:")),
        extended_table(sources, routes),
        _things(text_rows(sources)),
        tuple(sorted(file for file in sources if file.endswith(".csv"))),
    )


def read_catalog(sources: Mapping[str, str]) -> Mapping[str, Permission]:
    """The permissions of a catalogue, also of one that has faults."""
    text = sources.get(permissions.FILE, "")
    if found := permissions.load(PolicySource({permissions.FILE: text}, ""), []):
        return found
    return {name: Permission(name, "", "") for name in _PERMISSION.findall(text)}


def extended_table(sources: Mapping[str, str], routes: RouteTable) -> RouteTable:
    """The routes of the application and of the services whose documents can be read."""
    documents = tuple(sorted((file, text) for file, text in sources.items() if file.startswith(upstreams.FOLDER)))
    return _extended(routes, documents) if documents else routes


@lru_cache(maxsize=1)  # documents are large
def _extended(routes: RouteTable, documents: tuple[tuple[str, str], ...]) -> RouteTable:
    faults: list[Fault] = []
    services = upstreams.load(PolicySource(dict(documents), ""), faults, {}, ())
    closed = (template for service in services for template in service.closed)
    return routes.extended((route for service in services for route in service.routes), closed)


@lru_cache(maxsize=64)
def _facts_in(text: str) -> frozenset[str]:
    return frozenset(_FACT.findall(text))


def _things(rows: Iterable[TextRow]) -> Mapping[str, tuple[str, ...]]:
    """The resources of rows that are not routes, with the actions that rows name for them."""
    found: dict[str, dict[str, None]] = {}
    for row in rows:
        resource = row.cell(2)
        if not row.is_membership and THING.fullmatch(resource):
            found.setdefault(resource, {}).update(dict.fromkeys(filter(None, row.cell(3).split("|"))))
    return MappingProxyType({name: tuple(actions) for name, actions in sorted(found.items())})

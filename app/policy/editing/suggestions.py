"""The texts that a policy may have at a place, before it is known what was typed there."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from typing import Literal

from app.policy.analysis.starter import example_path
from app.policy.editing.meanings import fact_meaning
from app.policy.editing.names import PolicyNames
from app.policy.language.grants import FACTS
from app.policy.language.rule import ASK, SCOPE_TYPE
from app.policy.routing.routes import METHODS, RouteTable, is_route, pattern_fault, split_route

CompletionKind = Literal[
    "permission", "fact", "role", "route", "thing", "action", "value", "field", "function", "keyword", "file"
]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text that fits, a few words about it, and what it means."""

    text: str
    kind: CompletionKind
    detail: str = ""
    meaning: str = ""


def grants(names: PolicyNames, *, held: Collection[str] = ()) -> Iterator[Suggestion]:
    """The grants that a row can need, or a caller hold, without those that it has already."""
    for name, permission in names.permissions.items():
        if name not in held:
            detail = f"deprecated: {permission.title}" if permission.deprecated else permission.title
            yield Suggestion(name, "permission", detail, permission.grants)
    for role in names.roles:
        if role not in held:
            yield Suggestion(role, "role", "role", fact_meaning(role))
    for fact in dict.fromkeys((*FACTS, *names.facts)):
        if fact not in held:
            yield Suggestion(fact, "fact", fact_meaning(fact))


def added_grants(names: PolicyNames, member: str) -> Iterator[Suggestion]:
    """The grants that a `g` row can add to a member: permissions and roles."""
    return (each for each in grants(names, held=(member,)) if each.kind in ("permission", "role"))


def resources(names: PolicyNames) -> Iterator[Suggestion]:
    """The resources that a row can name: routes, all routes below a path, things, and scopes."""
    table = names.table
    yield from (Suggestion(name, "route", " ".join(table.actions(name))) for name in table.templates)
    below: dict[str, int] = {}
    for template in table.templates:
        service, path = split_route(template)
        start = f"{service}:" if service else ""
        parts = path.split("/")[1:]
        for count in range(1, len(parts) + 1):
            prefix = f"{start}/{'/'.join(parts[:count])}"
            below[prefix] = below.get(prefix, 0) + 1
    yield from (Suggestion(f"{prefix}/**", "route", f"{count} routes") for prefix, count in below.items() if count > 1)
    yield from (Suggestion(name, "thing", "|".join(actions)) for name, actions in names.things.items())
    scopes = (f"{SCOPE_TYPE}:{name}" for name in names.permissions)
    yield from (Suggestion(scope, "thing", ASK) for scope in scopes if scope not in names.things)


def actions(names: PolicyNames, resource: str, *, chosen: Collection[str] = ()) -> Iterator[Suggestion]:
    """The actions of a resource: the methods of its routes, or the actions that other rows name."""
    if is_route(resource) or not resource:
        templates = matched(names.table, resource)
        found = set(chain.from_iterable(map(names.table.actions, templates)))
        known: Iterable[str] = [method for method in METHODS if not found or method in found]
    elif resource.partition(":")[0] == SCOPE_TYPE:
        known = (ASK,)
    else:
        kind = resource.partition(":")[0]
        known = dict.fromkeys((*names.things.get(resource, ()), *names.things.get(kind, ())))
    yield from (Suggestion(action, "action") for action in known if action not in chosen)


def requests(table: RouteTable, methods: Collection[str]) -> Iterator[Suggestion]:
    """Paths for a case, one for each route that has one of the methods."""
    for template, path in _examples(table):
        if not methods or any(method in methods for method in table.actions(template)):
            yield Suggestion(path, "route", template if path != template else " ".join(table.actions(template)))


def matched(table: RouteTable, pattern: str) -> tuple[str, ...]:
    """The templates that a pattern matches; none if it is not a pattern of routes."""
    return table.match(pattern) if is_route(pattern) and pattern_fault(pattern) is None else ()


@lru_cache(maxsize=1)
def _examples(table: RouteTable) -> tuple[tuple[str, str], ...]:
    return tuple((template, example_path(template, table) or template) for template in table.templates)

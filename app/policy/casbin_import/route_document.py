"""The document of the routes that the rules are about, and the rows that close HEAD where Casbin does."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from app.policy.casbin_import.carried_rule import CarriedRule, RoutePattern
from app.policy.casbin_import.import_options import DOCUMENT_METHODS, ImportOptions
from app.policy.casbin_import.path_pattern import ANY, AnySegment
from app.policy.casbin_import.route_templates import document, path_of, shapes_of
from app.policy.routing.routes import Route, RouteTable

_PARAMETER = re.compile(r"\{([^}]*)\}")


def generated_paths(options: ImportOptions, rules: Sequence[CarriedRule]) -> list[str]:
    """The paths that tell all rules about routes apart. Raises ImportRefused if there are too many."""
    bases = [_base(rule.route) for rule in rules if rule.route is not None]
    return [path_of(shape) for shape in shapes_of(bases, options.depth)] if bases else []


def write_document(service: str, rules: Sequence[CarriedRule], paths: Sequence[str]) -> str:
    """The document of these paths, with the methods that rules name; empty if no rule is about a route."""
    methods = _methods(service, paths, [rule for rule in rules if rule.route is not None])
    return document(service, methods) if methods else ""


def closing_rows(service: str, rules: Sequence[CarriedRule], paths: Sequence[str]) -> tuple[str, ...]:
    """The rows that close HEAD for these paths of a document."""
    of_routes = [rule for rule in rules if rule.route is not None]
    rows = _closing(service, _methods(service, paths, of_routes), of_routes)
    return ("# Casbin allows no HEAD here, and a row about GET would.", *rows) if rows else ()


def _base(route: RoutePattern) -> tuple[tuple[str | AnySegment, ...], bool]:
    return (*route.segments, *[ANY] * (route.least or 0)), route.has_tail


def _methods(service: str, paths: Sequence[str], rules: Sequence[CarriedRule]) -> Mapping[str, list[str]]:
    """The methods of each path that some rule names; a path without any is left out."""
    table = RouteTable(Route(f"{service}:{path}", "GET") for path in paths)
    named: dict[str, set[str]] = {}
    for rule in rules:
        for template in table.match(rule.resource):
            named.setdefault(template, set()).update(rule.actions)
    templates = ((path, named.get(f"{service}:{path}", set())) for path in paths)
    return {path: [m for m in DOCUMENT_METHODS if m in methods] for path, methods in templates if methods}


def _closing(service: str, methods: Mapping[str, Sequence[str]], rules: Sequence[CarriedRule]) -> tuple[str, ...]:
    """Rows that deny HEAD to everyone where only GET has rows: a document without HEAD would imply it."""
    if not any("HEAD" in rule.actions for rule in rules):
        return (f"p, anyone, {service}:/**, HEAD, deny",) if any("GET" in each for each in methods.values()) else ()
    closed = [path for path, each in methods.items() if "GET" in each and "HEAD" not in each]
    return tuple(closing_row(service, path, ("HEAD",)) for path in closed)


def closing_row(service: str, path: str, methods: Iterable[str]) -> str:
    """A row about one template: the condition keeps it from those with text instead of a parameter.

    A service without a name is the application.
    """
    if not service:
        return f"p, anyone, {path}, {'|'.join(methods)}, deny"
    names = _PARAMETER.findall(path)
    resource = "/".join("*" if "{" in part else part for part in path.split("/"))
    condition = ', "' + " && ".join(f"has(params.{name})" for name in names) + '"' if names else ""
    return f"p, anyone, {service}:{resource}, {'|'.join(methods)}, deny{condition}"

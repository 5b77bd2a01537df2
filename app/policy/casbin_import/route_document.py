"""The document of the routes that the rules are about, and the rows that close HEAD where Casbin does."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from app.policy.casbin_import.carried_rule import CarriedRule, RoutePattern
from app.policy.casbin_import.import_options import DOCUMENT_METHODS, ImportOptions
from app.policy.casbin_import.path_pattern import ANY, AnySegment
from app.policy.casbin_import.route_templates import document, path_of, shapes_of
from app.policy.routing.routes import Route, RouteTable


def write_document(options: ImportOptions, rules: Sequence[CarriedRule]) -> tuple[str, tuple[str, ...]]:
    """The document and the closing rows; both empty if no rule is about a route. Raises ImportRefused."""
    of_routes = [rule for rule in rules if rule.route is not None]
    bases = [_base(rule.route) for rule in of_routes if rule.route is not None]
    if not bases:
        return "", ()
    paths = [path_of(shape) for shape in shapes_of(bases, options.depth)]
    methods = _methods(options.service, paths, of_routes)
    return document(options.service, methods), _closing(options.service, methods, of_routes)


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
    return tuple(_closing_row(service, path) for path in closed)


def _closing_row(service: str, path: str) -> str:
    """A row about one template: the condition keeps it from those with text instead of a parameter."""
    parts = path.split("/")
    names = [part[1:-1] for part in parts if part.startswith("{")]
    resource = "/".join("*" if part.startswith("{") else part for part in parts)
    condition = ', "' + " && ".join(f"has(params.{name})" for name in names) + '"' if names else ""
    return f"p, anyone, {service}:{resource}, HEAD, deny{condition}"

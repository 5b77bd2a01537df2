"""`authz policy routes`: prints what each endpoint needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

import rich_click as click
from rich.cells import cell_len

from app.cli.failure import explained
from app.cli.policy.directory import policy_directory, sound_snapshot
from app.cli.terminal import Line, plural, show, show_view

if TYPE_CHECKING:
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.rule import Rule
    from app.policy.routing.routes import Route

_NO_METHOD = "·"


@click.command("routes")
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(path_type=Path))
@click.option("--permission", metavar="GRANT", help="Only endpoints with a row that needs this permission or fact.")
@click.option("--path", metavar="PATH", help="Only a path, a template or a pattern, such as /api/v1/decisions/**.")
@click.option("--json", "as_json", is_flag=True, help="Print a document for programs.")
@explained
def routes_command(directory: Path | None, permission: str | None, path: str | None, as_json: bool) -> None:
    """Show what each endpoint needs.

    Each cell lists the grants that open a method: those separated by a space are needed together, `|` separates
    alternatives, `not` marks a deny, `if` a row with a condition. DIR is the policy directory; without it
    AUTHZ_POLICY_DIR, else `policies`.

    Example: authz policy routes --permission policies:write
    """
    chosen = policy_directory(directory)
    snapshot = sound_snapshot(chosen, as_json=as_json)
    routes = _chosen(snapshot, permission, path)
    if as_json:
        from app.cli.policy.routes_view import PolicyRoutes, route_view

        show_view(PolicyRoutes(snapshot.revision, [route_view(snapshot, route) for route in routes]))
    elif not routes:
        show(_nothing(permission, path))
    else:
        show(_table(snapshot, routes))


def _chosen(snapshot: Snapshot, permission: str | None, path: str | None) -> list[Route]:
    from app.policy.language.grants import grant_hint, is_grant
    from app.policy.routing.routes import is_route, pattern_fault, split_route

    routes: Iterable[Route] = sorted({*snapshot.table.routes, *_ruled(snapshot)})
    if permission is not None:
        if not is_grant(permission, snapshot.policy.catalog):
            hint = grant_hint(permission, snapshot.policy.catalog)
            raise click.BadParameter(f"`{permission}` is not a grant: {hint}.", param_hint="--permission")
        routes = [route for route in routes if any(permission in rule.needs for rule in _rules(snapshot, route))]
    if path is not None:
        if not is_route(path):
            raise click.BadParameter("a path starts with `/`, or with a service and `:/`.", param_hint="--path")
        service, plain = split_route(path)
        templates = {snapshot.table.resolve(plain, service)}
        if not pattern_fault(path):
            templates.update(snapshot.table.match(path))
        routes = [route for route in routes if route.template in templates]
    return list(routes)


def _ruled(snapshot: Snapshot) -> Iterator[Route]:
    """Every endpoint with a row, including OPTIONS and HEAD that the document of an upstream leaves out."""
    from app.policy.routing.routes import Route, is_route

    return (Route(resource, action) for resource, action in snapshot.index if is_route(resource))


def _rules(snapshot: Snapshot, route: Route) -> tuple[Rule, ...]:
    return snapshot.rules_for(route.template, route.method)


def _nothing(permission: str | None, path: str | None) -> Iterator[Line]:
    if path and not permission:
        yield f"No route matches `{path}`. `authz policy routes` lists all of them."
        return
    yield f"No row about {f'`{path}`' if path else 'a route'} names `{permission}`. To let it open one, write a row:"
    yield ""
    yield f"  p, {permission}, /api/v1/decisions/**, GET|HEAD, allow"


def _table(snapshot: Snapshot, routes: list[Route]) -> Iterator[Line]:
    cells: dict[str, dict[str, str]] = {}
    for route in routes:
        cells.setdefault(route.template, {})[route.method] = _cell(_rules(snapshot, route))
    columns = list(_columns(cells))
    heads = ["ENDPOINT", *(" ".join(methods) for methods in columns)]
    rows = [[template, *(cells[template].get(column[0], _NO_METHOD) for column in columns)] for template in cells]
    widths = [max(cell_len(row[index]) for row in [heads, *rows]) for index in range(len(heads))]
    yield [(_aligned(heads, widths), "bold")]
    for index, (_, group) in enumerate(groupby(rows, key=lambda row: _family(row[0], cells))):
        if index:
            yield ""
        for row in group:
            template, rest = _aligned(row, widths)[: widths[0]], _aligned(row, widths)[widths[0] :]
            yield [(template, "cyan"), rest]
    yield ""
    yield f"{plural(len(cells), 'path')}, {plural(len(routes), 'endpoint')}, revision {snapshot.revision}."


def _columns(cells: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, ...]]:
    """Methods that need the same everywhere share a column."""
    from app.policy.routing.routes import METHODS

    profiles: dict[tuple[str | None, ...], list[str]] = {}
    for method in METHODS:
        if any(method in of_path for of_path in cells.values()):
            profiles.setdefault(tuple(of_path.get(method) for of_path in cells.values()), []).append(method)
    yield from (tuple(methods) for methods in profiles.values())


def _cell(rules: Iterable[Rule]) -> str:
    """What opens an endpoint: alternatives first, then denies."""
    ordered = sorted(rules, key=lambda rule: rule.effect == "deny")
    return " | ".join(dict.fromkeys(map(_term, ordered)))


def _term(rule: Rule) -> str:
    needs = " ".join(sorted(rule.needs))
    return ("not " if rule.effect == "deny" else "") + needs + (" if …" if rule.condition else "")


def _family(template: str, cells: Mapping[str, object]) -> str:
    """The shortest listed path at or above this one; empty if it has no others below."""
    parts = template.split("/")
    heads = ("/".join(parts[:n]) for n in range(2, len(parts) + 1))
    head = next(head for head in heads if head in cells)
    return head if any(other.startswith(head + "/") for other in cells) else ""


def _aligned(row: list[str], widths: list[int]) -> str:
    padded = (text + " " * (width - cell_len(text)) for text, width in zip(row, widths, strict=True))
    return "  ".join(padded).rstrip()

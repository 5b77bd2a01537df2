"""The text of a first policy for a service: two permissions, rows for its endpoints, roles and cases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby

from app.policy.language.permissions import FILE as PERMISSIONS
from app.policy.routing.routes import METHODS, Route, RouteTable
from app.policy.routing.template_tree import TAIL

READING = ("GET", "HEAD", "QUERY", "OPTIONS", "TRACE")
_ROLES = "roles.csv"
_ADMIN = "g, role:admin, "
_PARAMETER = re.compile(r"\{[^}]*\}")
_END = "# end\n"


def starter_files(
    name: str, routes: Sequence[Route], table: RouteTable, base: Mapping[str, str], sample: Iterable[str]
) -> dict[str, str]:
    """The policy files, by name, for a service with these routes.

    `name` is that of the service and of its permissions. `base` are files about the application itself, of which the
    permissions whose names begin with one of `sample` are left out. `table` has all routes.
    """
    left_out = tuple(f"{each}:" for each in sample)
    return {
        **base,
        f"{name}.csv": _rows(name, routes),
        PERMISSIONS: _permissions(name, base[PERMISSIONS], left_out),
        _ROLES: _roles(name, base[_ROLES], left_out),
        "apps.csv": _apps(name),
        f"tests/{name}.yaml": _cases(name, routes, table),
    }


def is_reading(method: str) -> bool:
    """Whether a method only reads, as far as its definition says (RFC 9110 section 9.2.1)."""
    return method in READING


def _rows(name: str, routes: Iterable[Route]) -> str:
    methods: dict[str, set[str]] = {}
    for route in routes:
        if route.method == "OPTIONS" and route.template.startswith("/"):
            continue  # a row of the base is about those of the application
        methods.setdefault(_prefix(route.template), set()).add(route.method)
    # A prefix within another has the rows of that one.
    outer = {each: next(other for other in sorted(methods) if _is_within(each, other)) for each in methods}
    lines = [f"# Who may use {name}: a permission to read, and one to change.", "# needs, resource, action, effect"]
    for prefix in sorted(set(outer.values())):
        found = set[str]().union(*(methods[each] for each in methods if outer[each] == prefix))
        lines.append("")
        for word, reads in (("read", True), ("write", False)):
            if chosen := [method for method in METHODS if method in found and is_reading(method) == reads]:
                lines.append(f"p, {name}:{word}, {prefix}/{TAIL}, {'|'.join(chosen)}, allow")
    return "\n".join(lines) + f"\n{_END}"


def _prefix(template: str) -> str:
    """The segments of a template before its first parameter: `orders:/v1/orders` of `orders:/v1/orders/{id}`."""
    service, _, path = template.partition("/")
    fixed = []
    for segment in path.split("/"):
        if not segment or "{" in segment or "*" in segment:
            break
        fixed.append(segment)
    return "/".join([service, *fixed]) if fixed else service


def _is_within(prefix: str, other: str) -> bool:
    return prefix == other or prefix.startswith(f"{other}/")


def _permissions(name: str, text: str, left_out: tuple[str, ...]) -> str:
    head, *entries = re.split(r"\n(?=\[)", text)
    kept = [entry for entry in entries if not entry.startswith(tuple(f'["{each}' for each in left_out))]
    own = [
        f'["{name}:read"]\ntitle = "Read {name}"\ngrants = "Look at {name}."\n',
        f'["{name}:write"]\ntitle = "Change {name}"\ngrants = "Create, change and delete {name}."\n',
    ]
    return "\n".join([head, *own, *kept])


def _roles(name: str, text: str, left_out: tuple[str, ...]) -> str:
    """The roles of the base; viewers and editors have the permissions of the service."""
    head, *groups = text.removesuffix(_END).rstrip("\n").split("\n\n")
    admin = next(group for group in groups if group.startswith(_ADMIN))
    kept = [line for line in admin.split("\n") if not line.removeprefix(_ADMIN).startswith(left_out)]
    viewer = f"g, role:viewer, {name}:read"
    editor = f"g, role:editor, role:viewer\ng, role:editor, {name}:write"
    return "\n\n".join([head, viewer, editor, "\n".join(kept)]) + f"\n{_END}"


def _apps(name: str) -> str:
    return (
        "# What third-party apps may ask their users for: without a row, an app has no scope.\n"
        "# needs, resource, action, effect\n\n"
        f"p, app-kind:registered, scope:{name}:read, ask, allow\n{_END}"
    )


def _cases(name: str, routes: Iterable[Route], table: RouteTable) -> str:
    """The cases of each endpoint: with its permission, with the other one, and with none."""
    reading, writing = list[str](), list[str]()
    for template, group in groupby(sorted(routes), key=lambda route: route.template):
        path = _example(template, table)
        methods = [route.method for route in group if route.method not in ("OPTIONS", "WEBSOCKET")]
        for chosen, paths in ((True, reading), (False, writing)):
            if path and (some := [each for each in METHODS if each in methods and is_reading(each) == chosen]):
                paths.append(f"{'|'.join(some)} {path}")
    lines = [f"# What the rows of {name}.csv open, and for whom.", "cases:"]
    for word, paths in (("read", reading), ("write", writing)):
        if not paths:
            continue
        other = f"{name}:{'write' if word == 'read' else 'read'}"
        lines += [
            f"  - name: With {name}:{word}",
            f"    as: [auth:jwt {name}:{word}, 'auth:api_key env:live {name}:{word}']",
            "    allow:",
            *(f"      - {path}: {name}.csv" for path in paths),
            "",
            f"  - name: Without {name}:{word}",
            f"    as: [auth:anonymous, auth:jwt, auth:jwt {other}]",
            "    deny:",
            *(f"      - {path}: lacks {name}:{word}" for path in paths),
            "",
        ]
    return "\n".join(lines) + _END


def _example(template: str, table: RouteTable) -> str | None:
    """A path that has this template, with 7 for each parameter; None if that path has another."""
    service, slash, path = template.partition("/")
    example = slash + _PARAMETER.sub("7", path).replace(TAIL, "7")
    return service + example if table.resolve(example, service.removesuffix(":")) == template else None

"""The text of a first policy for a service: two permissions, rows for its endpoints, roles and cases."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import groupby

from app.policy.language.cases import MAX_CASES
from app.policy.language.permissions import FILE as PERMISSIONS
from app.policy.language.yaml_document import MAX_CHARACTERS
from app.policy.routing.routes import METHODS, Route, RouteTable
from app.policy.routing.template_tree import TAIL

READING = ("GET", "HEAD", "QUERY", "OPTIONS", "TRACE")
_WORDS = ("read", "write")  # the two permissions
_ROLES = "roles.csv"
_ADMIN = "g, role:admin, "
_PARAMETER = re.compile(r"\{[^}]*\}")
_MAX_CHARACTERS = MAX_CHARACTERS - 2_000  # of the endpoints in a file of cases
_CASE_CHARACTERS = 30  # of a line besides the endpoint and the name of the service
_CALLERS = 5  # that a case has for each endpoint
_END = "# end\n"


class AmbiguousRoute(Exception):
    """A row for this route of a service would be about a route of the application, too."""


def starter_files(
    name: str, routes: Sequence[Route], table: RouteTable, base: Mapping[str, str], sample: Iterable[str]
) -> dict[str, str]:
    """The policy files, by name, for a service with these routes.

    `name` is that of the service and of its permissions. `base` are files about the application itself, of which the
    permissions whose names begin with one of `sample` are left out. `table` has all routes. No row is about a route of
    the application; raises AmbiguousRoute if a route of the service has the pattern of such a route.
    """
    left_out = tuple(f"{each}:" for each in sample)
    methods = _methods(routes, table)
    found = set[str]().union(*methods.values())
    words = [word for word in _WORDS if any(_word(method) == word for method in found)]
    files = {
        **base,
        f"{name}.csv": _rows(name, methods),
        PERMISSIONS: _permissions(name, words, base[PERMISSIONS], left_out),
        _ROLES: _roles(name, words, base[_ROLES], left_out),
    }
    if "read" in words:
        files["apps.csv"] = _apps(name)
    if cases := _cases(name, words, routes, table):
        files[f"tests/{name}.yaml"] = cases
    return files


def is_reading(method: str) -> bool:
    """Whether a method only reads, as far as its definition says (RFC 9110 section 9.2.1)."""
    return method in READING


def _word(method: str) -> str:
    return _WORDS[0] if is_reading(method) else _WORDS[1]


def _is_of_base(route: Route) -> bool:
    """Whether a row of the base is about a route: OPTIONS of the application."""
    return route.method == "OPTIONS" and route.template.startswith("/")


def _rows(name: str, methods: Mapping[str, Collection[str]]) -> str:
    lines = [f"# Who may use {name}: a permission to read, and one to change.", "# needs, resource, action, effect"]
    for resource in sorted(methods):
        lines.append("")
        for word in _WORDS:
            if chosen := [method for method in METHODS if method in methods[resource] and _word(method) == word]:
                lines.append(f"p, {name}:{word}, {resource}, {'|'.join(chosen)}, allow")
    return "\n".join(lines) + f"\n{_END}"


def _methods(routes: Sequence[Route], table: RouteTable) -> dict[str, set[str]]:
    """The methods of each resource that a row names: all that is below a prefix, or one template.

    A prefix that routes of the application have too would open those, and one without a segment all future routes.
    """
    own = {route.template for route in routes}
    shared: dict[str, bool] = {}

    def is_shared(prefix: str) -> bool:
        if prefix not in shared:
            shared[prefix] = "/" not in prefix or not own.issuperset(table.match(f"{prefix}/{TAIL}"))
        return shared[prefix]

    resources: dict[str, str] = {}
    for template in own:
        prefix = _prefix(template)
        if not is_shared(prefix):
            resources[template] = prefix
        elif not own.issuperset(table.match(template)):
            raise AmbiguousRoute(template)
    # A prefix within another has the rows of that one.
    outer = _outermost(set(resources.values()))
    methods: dict[str, set[str]] = {}
    for route in routes:
        if _is_of_base(route):
            continue
        covering = resources.get(route.template)
        resource = route.template if covering is None else f"{outer[covering]}/{TAIL}"
        methods.setdefault(resource, set()).add(route.method)
    return methods


def _prefix(template: str) -> str:
    """The segments of a template before its first parameter: `orders:/v1/orders` of `orders:/v1/orders/{id}`."""
    service, _, path = template.partition("/")
    fixed = []
    for segment in path.split("/"):
        if not segment or "{" in segment or "*" in segment:
            break
        fixed.append(segment)
    return "/".join([service, *fixed]) if fixed else service


def _outermost(prefixes: Collection[str]) -> dict[str, str]:
    """The shortest of these prefixes that each of them is within, which may be itself."""
    found = {}
    for prefix in prefixes:
        parts = prefix.split("/")
        around = ("/".join(parts[:count]) for count in range(1, len(parts) + 1))
        found[prefix] = next(each for each in around if each in prefixes)
    return found


def _permissions(name: str, words: Collection[str], text: str, left_out: tuple[str, ...]) -> str:
    head, *entries = re.split(r"\n(?=\[)", text)
    kept = [entry for entry in entries if not entry.startswith(tuple(f'["{each}' for each in left_out))]
    grants = {"read": ("Read", "Look at"), "write": ("Change", "Create, change and delete")}
    own = [
        f'["{name}:{word}"]\ntitle = "{grants[word][0]} {name}"\ngrants = "{grants[word][1]} {name}."\n'
        for word in words
    ]
    return "\n".join([head, *own, *kept])


def _roles(name: str, words: Collection[str], text: str, left_out: tuple[str, ...]) -> str:
    """The roles of the base; viewers and editors have the permissions of the service."""
    head, *groups = text.removesuffix(_END).rstrip("\n").split("\n\n")
    admin = next(group for group in groups if group.startswith(_ADMIN))
    kept = [line for line in admin.split("\n") if not line.removeprefix(_ADMIN).startswith(left_out)]
    viewer = [f"g, role:viewer, {name}:read"] if "read" in words else []
    editor = ["g, role:editor, role:viewer"] if viewer else []
    if "write" in words:
        editor.append(f"g, role:editor, {name}:write")
    return "\n\n".join([head, *viewer, "\n".join(editor), "\n".join(kept)]) + f"\n{_END}"


def _apps(name: str) -> str:
    return (
        "# What third-party apps may ask their users for: without a row, an app has no scope.\n"
        "# needs, resource, action, effect\n\n"
        f"p, app-kind:registered, scope:{name}:read, ask, allow\n{_END}"
    )


def _cases(name: str, words: Collection[str], routes: Iterable[Route], table: RouteTable) -> str:
    """The cases of each endpoint: with its permission, with the other one, and with none. Empty if there are none.

    Of very many endpoints, the first ones, since a file of cases has a limit.
    """
    paths: dict[str, list[str]] = {word: [] for word in _WORDS}
    characters, verdicts = _MAX_CHARACTERS, MAX_CASES
    for template, group in groupby(sorted(routes), key=lambda route: route.template):
        path = example_path(template, table)
        methods = [route.method for route in group if not _is_of_base(route)]
        for word in _WORDS:
            if path and (some := [each for each in METHODS if each in methods and _word(each) == word]):
                entry = f"{'|'.join(some)} {path}"
                characters -= 2 * (len(entry) + len(name) + _CASE_CHARACTERS)
                verdicts -= _CALLERS * len(some)
                if min(characters, verdicts) > 0:
                    paths[word].append(entry)
    which = "open" if min(characters, verdicts) > 0 else "open, for the first of its many endpoints"
    lines = [f"# What the rows of {name}.csv {which}, and for whom.", "cases:"]
    for word in _WORDS:
        if not paths[word]:
            continue
        others = [f"auth:jwt {name}:{other}" for other in words if other != word]
        lines += [
            f"  - name: With {name}:{word}",
            f"    as: [auth:jwt {name}:{word}, 'auth:api_key env:live {name}:{word}']",
            "    allow:",
            *(f"      - {path}: {name}.csv" for path in paths[word]),
            "",
            f"  - name: Without {name}:{word}",
            f"    as: [{', '.join(['auth:anonymous', 'auth:jwt', *others])}]",
            "    deny:",
            *(f"      - {path}: lacks {name}:{word}" for path in paths[word]),
            "",
        ]
    return "\n".join(lines) + _END if any(paths.values()) else ""


def example_path(template: str, table: RouteTable) -> str | None:
    """A path that has this template, with 7 for each parameter; None if that path has another."""
    service, slash, path = template.partition("/")
    example = slash + _PARAMETER.sub("7", path).replace(TAIL, "7")
    return service + example if table.resolve(example, service.removesuffix(":")) == template else None

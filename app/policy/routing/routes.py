"""The route table: which endpoints exist, and which of them a resource pattern matches.

Every entrance derives the same key from a request, `(METHOD, template)`, for example
`("GET", "/api/v1/leagues/{league_id}")`. A mounted application is `/path/**`. An endpoint of another service, an
upstream, is prefixed with the service's name: `orders:/v1/orders/{id}`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import attrgetter
from urllib.parse import unquote

from app.policy.gc_control import sorted_in_steps
from app.policy.routing.segment import NAME, PARAMETER, is_composite, shape
from app.policy.routing.template_tree import (
    TAIL,
    TemplateTree,
    match_like_litestar,
    most_specific,
    normalized,
    path_key,
)

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "QUERY", "TRACE", "WEBSOCKET")

_TEXT = r"[A-Za-z0-9._~!$'()+:@%=-]+"
# Alternating text and parameters; two adjacent parameters would be ambiguous.
_SEGMENT = re.compile(rf"(?:{_TEXT})?(?:\{{{NAME}\}}{_TEXT})*(?:\{{{NAME}\}})?|\*")
_SIMPLE = re.compile(rf"(?:/(?:{_TEXT}|\{{{NAME}\}}))+")  # most patterns
SERVICE = re.compile(r"[a-z][a-z0-9-]{0,39}")

# An unambiguous concrete path: no empty or dot segment, and no `;`. `%` is kept.
_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@%-]+)+/?|/")


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One endpoint: a method and a path template without a trailing slash."""

    template: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


class RouteTable:
    """The routes of an application and of its upstreams, indexed by segment.

    `added` are the routes of upstreams by which another table was extended. `closed` are templates of upstreams whose
    requests cannot be told from those of others: they are not routes, and no path resolves to them. `sample` are the
    templates of the sample API, which a setting leaves out.
    """

    def __init__(
        self,
        routes: Iterable[Route],
        added: tuple[Route, ...] = (),
        closed: Iterable[str] = (),
        *,
        sample: Iterable[str] = (),
    ) -> None:
        self.added = added
        self.closed: frozenset[str] = frozenset(closed)
        self.sample: frozenset[str] = frozenset(sample)
        self.routes: tuple[Route, ...] = tuple(sorted_in_steps({*routes, *added}, attrgetter("template", "method")))
        self._methods: dict[str, tuple[str, ...]] = {}
        self._root = TemplateTree(str)
        self._paths = TemplateTree(path_key)
        self._literal: dict[str, str] = {}
        self._extended: Callable[[], RouteTable | None] = lambda: None
        alike: dict[tuple[str, ...], tuple[str, ...]] = {}  # interned: most templates have the same methods
        for route in self.routes:
            methods = (*self._methods.get(route.template, ()), route.method)
            self._methods[route.template] = alike.setdefault(methods, methods)
        for template in self._methods:
            parts = segments(template)  # once: both trees keep them
            self._root.add(template, parts)
            self._add(template, parts)
        for template in self.closed:
            self._add(template, segments(template))

    def extended(self, more: Iterable[Route], closed: Iterable[str] = ()) -> RouteTable:
        """This table with more routes. The last result is reused while it is referenced and the routes are the same."""
        more, closed = tuple(more), frozenset(closed)
        if not more and not closed:
            return self
        table = self._extended()
        if table is None or table.added != more or table.closed != closed:
            table = RouteTable(self.routes, more, closed, sample=self.sample)
            self._extended = weakref.ref(table)
        return table

    def __contains__(self, route: Route) -> bool:
        return route.method in self._methods.get(route.template, ())

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template, once, sorted."""
        return tuple(self._methods)

    @property
    def tree(self) -> TemplateTree:
        """The templates with parameters, indexed for paths."""
        return self._paths

    def methods(self, template: str) -> tuple[str, ...]:
        """The methods of a template; none if there is no such template."""
        return self._methods.get(template, ())

    def actions(self, template: str) -> tuple[str, ...]:
        """The methods that rows may name for a template.

        For an upstream this includes methods that servers implement without documenting them: OPTIONS (RFC 9110
        section 9.3.7), and HEAD wherever there is GET (section 9.3.2).
        """
        methods = self._methods.get(template, ())
        return methods if not methods or template.startswith("/") else _with_implied(methods)

    def match(self, pattern: str) -> tuple[str, ...]:
        """The templates that a pattern matches: `{x}` is a parameter, `*` any segment, a trailing `/**` any number."""
        nodes = [self._root.root]
        for segment in segments(pattern):
            if segment == TAIL:
                return tuple(template for node in nodes for template in node.subtree())
            if is_parameter(segment):
                nodes = [child for node in nodes for name, child in self._root.children(node) if is_parameter(name)]
            elif segment == "*":
                nodes = [child for node in nodes for name, child in self._root.children(node) if name != TAIL]
            elif is_composite(segment):
                alike = shape(segment)
                nodes = [child for node in nodes for name, child in self._root.children(node) if shape(name) == alike]
            else:
                nodes = [child for node in nodes if (child := self._root.child(node, segment))]
        return tuple(node.template for node in nodes if node.template is not None)

    def resolve(self, path: str, service: str = "") -> str | None:
        """The template that a concrete path, such as `/api/v1/teams/7`, matches; None if there is none.

        One trailing slash is optional. Nothing is repaired: a path with an empty or dot segment has no template. A
        program may match a path as spelled or decoded, so a path with an encoded character has a template only if
        both readings have the same one. The application matches as Litestar does: an exact route first, then each
        literal segment before a parameter, without backtracking; a path whose template depends on the method has
        none. For an upstream the most specific template wins, as OpenAPI requires.
        """
        return self._resolve(path, service) or None

    def is_closed(self, path: str, service: str) -> bool:
        """Whether a concrete path of an upstream is denied because its document is ambiguous about it."""
        return self._resolve(path, service) == ""

    def _resolve(self, path: str, service: str) -> str | None:
        """Like `resolve`, but empty for a path that more than one template could match."""
        if not _PLAIN.fullmatch(path):
            return None
        parts = path[1:].removesuffix("/").split("/") if path != "/" else []
        if "%" not in path:
            return self._find(parts, service)
        found = self._find([normalized(part) for part in parts], service)
        if found == self._find([unquote(part) for part in parts], service):
            return found
        return "" if service else None

    def _find(self, parts: Sequence[str], service: str) -> str | None:
        prefix = f"{service}:" if service else ""
        found = self._literal.get(f"{prefix}/" + "/".join(parts))
        if found is None:
            root = self._paths.child(self._paths.root, prefix)
            if root is None:
                return None
            found = (most_specific if service else match_like_litestar)(self._paths, root, parts)
        return "" if found in self.closed else found

    def _add(self, template: str, parts: tuple[str, ...]) -> None:
        """Index a template without the names of its parameters, and literal text both as spelled and decoded.

        A path that two templates share is indexed as ambiguous, with an empty template.
        """
        for spelt in {normalized(template), unquote(template)}:
            if spelt.count("/") == template.count("/"):
                self._literal[spelt] = template if self._literal.get(spelt, template) == template else ""
        if any("{" in part or part in ("*", TAIL) for part in parts):
            self._paths.add(template, parts, by_meaning=True)


@lru_cache(maxsize=256)  # of few combinations
def _with_implied(methods: tuple[str, ...]) -> tuple[str, ...]:
    if not methods:
        return ()
    implied = {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return tuple(method for method in METHODS if method in methods or method in implied)


def is_route(resource: str) -> bool:
    """Whether a resource is a route of the application or of an upstream, and not a thing."""
    return resource.startswith("/") or resource.partition(":")[2].startswith("/")


def split_route(resource: str) -> tuple[str, str]:
    """The service of a route, empty for the application, and its path."""
    if resource.startswith("/"):
        return "", resource
    service, _, path = resource.partition(":")
    return service, path


def segments(path: str) -> tuple[str, ...]:
    """Split a template or pattern into its service and segments: `orders:/a/b` has `orders:`, `a`, `b`; `/` has ``."""
    return tuple(path.removesuffix("/").split("/"))


def is_parameter(segment: str) -> bool:
    """Whether a segment is only a parameter, as `{id}` is and `{id}.json` is not."""
    return PARAMETER.fullmatch(segment) is not None


def widened(pattern: str) -> str:
    """Replace each parameter of a pattern by `*`, which also matches literal segments."""
    return "/".join("*" if is_parameter(part) else part for part in pattern.split("/"))


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """The fault of a resource pattern, as message and hint; None if it is well formed."""
    service, path = split_route(pattern)
    if service and not SERVICE.fullmatch(service):
        return f"`{service}` is not a valid service name", "use lower-case letters, digits and `-`"
    if path == "/" or _SIMPLE.fullmatch(path):
        return None
    if path.endswith("/"):
        return (
            "a pattern must not end with a slash",
            f"write `{pattern.rstrip('/') or '/'}`; it also matches requests with a trailing slash",
        )
    parts = segments(path)[1:]
    for index, part in enumerate(parts):
        if part == TAIL and index == len(parts) - 1:
            continue
        if part == TAIL:
            return "`**` may only be the last segment", "use `*` for one segment"
        if not part:
            return "a pattern must not have an empty segment", "write one slash"
        if not _SEGMENT.fullmatch(part):
            return (
                f"`{part}` is not a valid segment of a pattern",
                "a segment is text, `{name}` for a parameter, both, `*` for any one segment, or a last `**`",
            )
    return None

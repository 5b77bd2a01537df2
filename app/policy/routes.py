"""The route table: which endpoints there are, and which of them a resource pattern names.

Every door makes the same key of a request, `(METHOD, template)`, for example
`("GET", "/api/v1/leagues/{league_id}")`. A mounted application is `/path/**`. An endpoint of another service, an
upstream, has that service's name before its path: `orders:/v1/orders/{id}`.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from operator import attrgetter
from urllib.parse import unquote

from app.policy.aside import in_order

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
TAIL = "**"

_LITERAL = r"[A-Za-z0-9._~!$'()+:@%-]+"
_PARAMETER = re.compile(r"\{[A-Za-z_][A-Za-z0-9_.-]*\}")
_SEGMENT = re.compile(rf"{_LITERAL}|{_PARAMETER.pattern}|\*")
SERVICE = re.compile(r"[a-z][a-z0-9-]{0,39}")

# A concrete path that has one reading: no segment is empty or dots alone, and there is no `;`. `%` stays as it is.
_PLAIN = re.compile(r"(?:/(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._~!$&'()*+,=:@%-]+)+/?|/")
# In the tree of paths a parameter has no name, and no segment of a path is spelt like it.
_ONE, _REST = "{}", "{/}"
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One endpoint: a method and a path template without a last slash."""

    template: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class _Node:
    """A place in a tree, and what follows: other nodes, or a template that goes on alone."""

    depth: int
    children: dict[str, _Node | str] = field(default_factory=dict)
    template: str | None = None

    def subtree(self) -> Iterator[str]:
        if self.template is not None:
            yield self.template
        for child in self.children.values():
            if isinstance(child, str):
                yield child
            else:
                yield from child.subtree()


class _Tree:
    """Templates by their segments, each as `spelt` has it.

    Where one template goes on alone it stands in the place of its nodes, which are made when asked for: a large table
    is mostly such ends, and nodes take ten times their place.
    """

    def __init__(self, spelt: Callable[[str], str]) -> None:
        self.root = _Node(0)
        self._spelt = spelt

    def add(self, template: str, parts: Sequence[str], *, decoded: bool = False) -> None:
        """Add a template with its segments, and where `decoded` with what they mean too.

        A place that two templates share is the template of neither, which is empty.
        """
        node = self.root
        for part in parts:
            key = self._spelt(part)
            known = node.children.get(key)
            if known is None and not (decoded and "%" in template):
                node.children[key] = template
                return
            child = _Node(node.depth + 1) if known is None else self._grown(known, node)
            node.children[key] = child
            if decoded and "%" in part:
                node.children.setdefault(unquote(part), child)
            node = child
        node.template = template if node.template is None else ""

    def child(self, node: _Node, key: str) -> _Node | None:
        """The node that follows by a key; None when there is none."""
        child = node.children.get(key)
        return child if child is None else self._grown(child, node)

    def children(self, node: _Node) -> Iterator[tuple[str, _Node]]:
        """Each node that follows, by its key."""
        return ((key, self._grown(child, node)) for key, child in node.children.items())

    def _grown(self, child: _Node | str, parent: _Node) -> _Node:
        """What follows a node as a node, from which the rest of a lone template follows."""
        if isinstance(child, _Node):
            return child
        parts, depth = segments(child), parent.depth + 1
        if depth == len(parts):
            return _Node(depth, {}, child)
        return _Node(depth, {self._spelt(parts[depth]): child})


class RouteTable:
    """The routes of an application and of its upstreams, indexed by segment, so that a pattern finds its templates
    by walking. `added` are those of its routes that another table was extended by."""

    def __init__(self, routes: Iterable[Route], added: tuple[Route, ...] = ()) -> None:
        self.added = added
        self.routes: tuple[Route, ...] = tuple(in_order({*routes, *added}, attrgetter("template", "method")))
        self._methods: dict[str, tuple[str, ...]] = {}
        self._root = _Tree(str)
        self._paths = _Tree(_path_key)
        self._literal: dict[str, str] = {}
        self._extended: Callable[[], RouteTable | None] = lambda: None
        alike: dict[tuple[str, ...], tuple[str, ...]] = {}  # one object for all templates with the same methods
        for route in self.routes:
            methods = (*self._methods.get(route.template, ()), route.method)
            self._methods[route.template] = alike.setdefault(methods, methods)
        for template in self._methods:
            self._add(template)

    def extended(self, more: Iterable[Route]) -> RouteTable:
        """This table and more routes; the last one again while somebody has it, if its routes are the same."""
        more = tuple(more)
        if not more:
            return self
        table = self._extended()
        if table is None or table.added != more:
            table = RouteTable(self.routes, more)
            self._extended = weakref.ref(table)
        return table

    def __contains__(self, route: Route) -> bool:
        return route.method in self._methods.get(route.template, ())

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template, once."""
        return tuple(self._methods)

    def methods(self, template: str) -> tuple[str, ...]:
        """The methods of a template; none when there is no such template."""
        return self._methods.get(template, ())

    def actions(self, template: str) -> tuple[str, ...]:
        """The methods that rows may name for a template.

        In an upstream also those that its document may leave out, for every server has them: OPTIONS (RFC 9110 section
        9.3.7), and HEAD beside GET (section 9.3.2).
        """
        methods = self.methods(template)
        return methods if template.startswith("/") else _with_implied(methods)

    def match(self, pattern: str) -> tuple[str, ...]:
        """The templates that a pattern names: `{x}` is a parameter, `*` any one segment, a last `/**` any number."""
        nodes = [self._root.root]
        for segment in segments(pattern):
            if segment == TAIL:
                return tuple(template for node in nodes for template in node.subtree())
            if is_parameter(segment):
                nodes = [child for node in nodes for name, child in self._root.children(node) if is_parameter(name)]
            elif segment == "*":
                nodes = [child for node in nodes for name, child in self._root.children(node) if name != TAIL]
            else:
                nodes = [child for node in nodes if (child := self._root.child(node, segment))]
        return tuple(node.template for node in nodes if node.template is not None)

    def resolve(self, path: str, service: str = "") -> str | None:
        """The template that a concrete path, such as `/api/v1/teams/7`, belongs to; None when there is none.

        One last slash is optional. Nothing is repaired: a path with an empty or dot segment has no template. A
        program may match a path as it is spelt or decoded, so one with an encoded character has a template only
        where both readings have the same. In the application a path is matched as Litestar does: one that is a
        route as it stands comes first, then each literal segment before a parameter, without a way back; one whose
        template depends on the method has none. In an upstream the most specific template wins, as OpenAPI has it.
        """
        if not _PLAIN.fullmatch(path):
            return None
        parts = path[1:].removesuffix("/").split("/") if path != "/" else []
        if "%" not in path:
            return self._find(parts, service)
        found = self._find([_raised(part) for part in parts], service)
        return found if found == self._find([unquote(part) for part in parts], service) else None

    def _find(self, parts: Sequence[str], service: str) -> str | None:
        prefix = f"{service}:" if service else ""
        if (plain := f"{prefix}/" + "/".join(parts)) in self._literal:
            return self._literal[plain] or None
        root = self._paths.child(self._paths.root, prefix)
        if root is None:
            return None
        return (_most_specific if service else _as_litestar)(self._paths, root, parts) or None

    def _add(self, template: str) -> None:
        """Index a template, parameters whatever their names, and literal text both as it is spelt and decoded.

        What two templates share is indexed as the template of neither, which is empty.
        """
        parts = segments(template)
        self._root.add(template, parts)
        for spelt in {_raised(template), unquote(template)}:
            if spelt.count("/") == template.count("/"):
                self._literal[spelt] = template if self._literal.get(spelt, template) == template else ""
        if any(is_wild(part) or part == TAIL for part in parts):
            self._paths.add(template, parts, decoded=True)


@lru_cache(maxsize=256)  # of few combinations
def _with_implied(methods: tuple[str, ...]) -> tuple[str, ...]:
    if not methods:
        return ()
    implied = {"OPTIONS", "HEAD"} if "GET" in methods else {"OPTIONS"}
    return tuple(method for method in METHODS if method in methods or method in implied)


def _path_key(part: str) -> str:
    """A segment of a template as the tree of paths has it."""
    return _REST if part == TAIL else _ONE if is_wild(part) else _raised(part)


def _raised(text: str) -> str:
    """The same spelling with capital hex digits, which RFC 3986 section 6.2.2.1 has as the one to write."""
    return _ENCODED.sub(lambda code: code[0].upper(), text) if "%" in text else text


def _as_litestar(tree: _Tree, node: _Node, parts: Sequence[str]) -> str | None:
    for part in parts:
        if child := tree.child(node, part):
            node = child
        elif rest := tree.child(node, _REST):
            return rest.template
        elif one := tree.child(node, _ONE):
            node = one
        else:
            return None
    if node.template is None and (rest := tree.child(node, _REST)):
        node = rest
    return node.template or None


def _most_specific(tree: _Tree, node: _Node, parts: Sequence[str]) -> str | None:
    if not parts:
        return node.template
    found = (tree.child(node, name) for name in (parts[0], _ONE))
    return next((hit for child in found if child and (hit := _most_specific(tree, child, parts[1:]))), None)


def is_route(resource: str) -> bool:
    """Whether a resource is a route, of the application or of an upstream, and not a thing."""
    return resource.startswith("/") or resource.partition(":")[2].startswith("/")


def split_route(resource: str) -> tuple[str, str]:
    """The service of a route, empty for the application, and its path."""
    if resource.startswith("/"):
        return "", resource
    service, _, path = resource.partition(":")
    return service, path


def segments(path: str) -> tuple[str, ...]:
    """The segments of a template or pattern, after its service: `orders:/a/b` has `orders:`, `a`, `b`; `/` has ``."""
    return tuple(path.removesuffix("/").split("/"))


def is_wild(segment: str) -> bool:
    """Whether a segment of a pattern stands for any one segment."""
    return segment == "*" or segment.startswith("{")


def is_parameter(segment: str) -> bool:
    """Whether a segment is a parameter and nothing else, as `{id}` is and `{id}.json` is not."""
    return _PARAMETER.fullmatch(segment) is not None


def widened(pattern: str) -> str:
    """The pattern with `*` for each parameter, so that it also names the literal segments in their place."""
    return "/".join("*" if is_parameter(part) else part for part in pattern.split("/"))


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a resource pattern, as message and hint; None when it is well formed."""
    service, path = split_route(pattern)
    if service and not SERVICE.fullmatch(service):
        return f"`{service}` is no name of a service", "write lower-case letters, digits and `-`"
    if path == "/":
        return None
    if path.endswith("/"):
        return (
            "a pattern has no last slash",
            f"write `{pattern.rstrip('/') or '/'}`; requests may come with or without",
        )
    parts = segments(path)[1:]
    for index, part in enumerate(parts):
        if part == TAIL and index == len(parts) - 1:
            continue
        if part == TAIL:
            return "`**` may only be the last segment", "use `*` for one segment"
        if not part:
            return "a pattern has no empty segment", "write one slash"
        if not _SEGMENT.fullmatch(part):
            return (
                f"`{part}` is no segment of a pattern",
                "a segment is literal text, `{name}` for a parameter, `*` for any one segment, or a last `**`",
            )
    return None

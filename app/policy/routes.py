"""The route table: which endpoints there are, and which of them a resource pattern names.

Every door makes the same key of a request, `(METHOD, template)`, for example
`("GET", "/api/v1/leagues/{league_id}")`. A mounted application is `/path/**`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WEBSOCKET")
TAIL = "**"

_LITERAL = r"[A-Za-z0-9._~!$'()+:@%-]+"
_SEGMENT = re.compile(rf"{_LITERAL}|\{{[A-Za-z_][A-Za-z0-9_]*\}}|\*")

# One segment of a concrete path that has one reading: not empty, no dots alone, no `;`. `%` stays as it is.
_PLAIN = re.compile(r"(?!\.{1,2}\Z)[A-Za-z0-9._~!$&'()*+,=:@%-]+")
# In the tree of paths a parameter has no name, and no segment of a path is spelt like it.
_ONE, _REST = "{}", "{/}"


@dataclass(frozen=True, slots=True, order=True)
class Route:
    """One endpoint: a method and a path template without a last slash."""

    template: str
    method: str

    def __str__(self) -> str:
        return f"{self.method} {self.template}"


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    template: str | None = None

    def subtree(self) -> Iterator[str]:
        if self.template is not None:
            yield self.template
        for child in self.children.values():
            yield from child.subtree()


class RouteTable:
    """The routes of an application, indexed by segment, so that a pattern finds its templates by walking."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes: tuple[Route, ...] = tuple(sorted(set(routes)))
        self._methods: dict[str, tuple[str, ...]] = {}
        self._root = _Node()
        self._paths = _Node()
        for route in self.routes:
            self._methods[route.template] = (*self._methods.get(route.template, ()), route.method)
            node = self._root
            for segment in segments(route.template):
                node = node.children.setdefault(segment, _Node())
            node.template = route.template
        for template in self._methods:
            self._add_path(template)

    def __contains__(self, route: Route) -> bool:
        return route.method in self._methods.get(route.template, ())

    @property
    def templates(self) -> tuple[str, ...]:
        """Every template, once."""
        return tuple(self._methods)

    def methods(self, template: str) -> tuple[str, ...]:
        """The methods of a template; none when there is no such template."""
        return self._methods.get(template, ())

    def match(self, pattern: str) -> tuple[str, ...]:
        """The templates that a pattern names: `{x}` and `*` are one segment, a last `/**` is any number."""
        nodes = [self._root]
        for segment in segments(pattern):
            if segment == TAIL:
                return tuple(template for node in nodes for template in node.subtree())
            if is_wild(segment):
                nodes = [c for node in nodes for name, c in node.children.items() if name != TAIL]
            else:
                nodes = [node.children[segment] for node in nodes if segment in node.children]
        return tuple(node.template for node in nodes if node.template is not None)

    def resolve(self, path: str) -> str | None:
        """The template that a concrete path, such as `/api/v1/teams/7`, belongs to; None when there is none.

        As Litestar matches: a path that is a route as it stands comes first, then each literal segment before a
        parameter, without a way back. One last slash is optional. Nothing is decoded or repaired: a path with an
        empty or dot segment has no template, nor has one whose template depends on the method.
        """
        parts = path[1:].removesuffix("/").split("/") if path != "/" else []
        if not path.startswith("/") or not all(_PLAIN.fullmatch(part) for part in parts):
            return None
        if (plain := "/" + "/".join(parts)) in self._methods:
            return plain
        node = self._paths
        for part in parts:
            if part in node.children:
                node = node.children[part]
            elif _REST in node.children:
                return node.children[_REST].template
            elif _ONE in node.children:
                node = node.children[_ONE]
            else:
                return None
        if node.template is None and _REST in node.children:
            node = node.children[_REST]
        return node.template or None

    def _add_path(self, template: str) -> None:
        """Index a template that has parameters, whatever their names."""
        parts = segments(template)
        if not any(is_wild(part) or part == TAIL for part in parts):
            return
        node = self._paths
        for part in parts:
            node = node.children.setdefault(_REST if part == TAIL else _ONE if is_wild(part) else part, _Node())
        node.template = template if node.template is None else ""


def segments(path: str) -> tuple[str, ...]:
    """The segments of a template or pattern; `/` has none."""
    return tuple(path[1:].split("/")) if path != "/" else ()


def is_wild(segment: str) -> bool:
    """Whether a segment of a pattern stands for any one segment."""
    return segment == "*" or segment.startswith("{")


def pattern_fault(pattern: str) -> tuple[str, str] | None:
    """What is wrong with a resource pattern, as message and hint; None when it is well formed."""
    if pattern == "/":
        return None
    if pattern.endswith("/"):
        return (
            "a pattern has no last slash",
            f"write `{pattern.rstrip('/') or '/'}`; requests may come with or without",
        )
    parts = segments(pattern)
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
                "a segment is literal text, `{name}` or `*` for any one segment, or a last `**`",
            )
    return None

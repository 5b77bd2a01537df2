"""A tree of templates by segment, in which paths are matched as Litestar does or as OpenAPI requires."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from app.policy.routing.segment import decoded, is_composite, shape, values_in

TAIL = "**"
# In the tree of paths a parameter has no name; no segment of a path is spelled like these.
_ONE, _REST = "{}", "{/}"
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(slots=True)
class _Node:
    """A node, whose children are other nodes or, at the end of a lone branch, a template.

    `composites` are the keys of composite segments; of two that can match the same text, the narrower comes first.
    """

    depth: int
    children: dict[str, _Node | str] = field(default_factory=dict)
    template: str | None = None
    composites: tuple[str, ...] = ()

    def subtree(self) -> Iterator[str]:
        if self.template is not None:
            yield self.template
        for child in self.children.values():
            if isinstance(child, str):
                yield child
            else:
                yield from child.subtree()


@dataclass(frozen=True, slots=True)
class Frontier:
    """The nodes that the first segments of a path lead to. `in_tail` if a `**` matches the rest."""

    nodes: tuple[_Node, ...] = ()
    in_tail: bool = False

    def __bool__(self) -> bool:
        return self.in_tail or bool(self.nodes)

    @property
    def composites(self) -> int:
        """The number of composite segments that follow."""
        return sum(len(node.composites) for node in self.nodes)


class TemplateTree:
    """Templates by segment; `spelled` gives the key of a segment.

    A branch with a single template is stored as the template, and its nodes are created when needed: most branches of
    a large table are of this kind, and nodes take ten times the memory.
    """

    def __init__(self, spelled: Callable[[str], str]) -> None:
        self.root = _Node(0)
        self._spelled = spelled

    def add(self, template: str, parts: Sequence[str], *, by_meaning: bool = False) -> None:
        """Add a template by its segments and, with `by_meaning`, by their decoded texts too.

        A node that two templates share is ambiguous and has an empty template.
        """
        node = self.root
        for part in parts:
            key = self._spelled(part)
            known = node.children.get(key)
            if known is None and by_meaning and is_composite(part):
                _add_composite(node, key)
            if known is None and not (by_meaning and "%" in template):
                node.children[key] = template
                return
            child = _Node(node.depth + 1) if known is None else self.expand(known, node)
            node.children[key] = child
            if by_meaning and "%" in part and not is_composite(part):
                node.children.setdefault(unquote(part), child)
            node = child
        node.template = template if node.template is None else ""

    def child(self, node: _Node, key: str) -> _Node | None:
        """The child node with a key; None if there is none."""
        child = node.children.get(key)
        return self.expand(child, node) if isinstance(child, str) else child

    def children(self, node: _Node) -> Iterator[tuple[str, _Node]]:
        """Each child node with its key."""
        return ((key, self.expand(child, node)) for key, child in node.children.items())

    def start(self, prefix: str) -> Frontier:
        """The frontier of the templates that begin with a segment."""
        node = self.child(self.root, prefix)
        return Frontier((node,) if node else ())

    def after(self, frontier: Frontier, text: str) -> Frontier:
        """The frontier after a segment of a path, following every matching template, not only the most specific one."""
        nodes = []
        for node in frontier.nodes:
            keys = [text, *(key for key in node.composites if values_in(key, text) is not None), _ONE]
            nodes += [child for key in keys if (child := self.child(node, key))]
        in_tail = frontier.in_tail or any(_REST in node.children for node in frontier.nodes)
        return Frontier(tuple(nodes), in_tail)

    def keys(self, frontier: Frontier) -> Iterator[str]:
        """The keys of following segments that contain text."""
        return (key for node in frontier.nodes for key in node.children if key not in (_ONE, _REST))

    def expand(self, child: _Node | str, parent: _Node) -> _Node:
        """A child as a node; a lone template is expanded by one segment."""
        if not isinstance(child, str):
            return child
        parts, depth = child.removesuffix("/").split("/"), parent.depth + 1
        if depth == len(parts):
            return _Node(depth, {}, child)
        key = self._spelled(parts[depth])
        node = _Node(depth, {key: child})
        if key != parts[depth] and is_composite(parts[depth]):
            _add_composite(node, key)
        return node


def _add_composite(node: _Node, key: str) -> None:
    node.composites = tuple(sorted((*node.composites, key), key=lambda each: -decoded(each).length))


def path_key(part: str) -> str:
    """The key of a template's segment in the tree of paths."""
    if part == TAIL:
        return _REST
    if part == "*":
        return _ONE
    return shape(normalized(part))


def normalized(text: str) -> str:
    """Write percent-encodings with upper-case hex digits, as RFC 3986 section 6.2.2.1 recommends."""
    return _ENCODED.sub(lambda code: code[0].upper(), text) if "%" in text else text


def match_like_litestar(tree: TemplateTree, node: _Node, parts: Sequence[str]) -> str | None:
    """The template that Litestar would match: each literal segment before a parameter, without backtracking."""
    for part in parts:
        children = node.children  # read here, since calls for each segment would take half of the time
        child = children.get(part)
        if child is None:
            if _REST in children and (rest := tree.child(node, _REST)):
                return rest.template
            child = children.get(_ONE)
        if child is None:
            return None
        node = tree.expand(child, node) if isinstance(child, str) else child
    if node.template is None and (rest := tree.child(node, _REST)):
        node = rest
    return node.template


def most_specific(tree: TemplateTree, node: _Node, parts: Sequence[str], at: int = 0) -> str | None:
    """The most specific template of a path: text before composites before parameters.

    Empty if the values of its parameters are ambiguous.
    """
    if at == len(parts):
        return node.template
    part = parts[at]
    if (child := tree.child(node, part)) and (found := most_specific(tree, child, parts, at + 1)) is not None:
        return found
    for key in node.composites:
        values = values_in(key, part)
        if values is None or (child := tree.child(node, key)) is None:
            continue
        found = most_specific(tree, child, parts, at + 1)
        if found is not None:
            return found if values else ""
    if (child := tree.child(node, _ONE)) and (found := most_specific(tree, child, parts, at + 1)) is not None:
        return found
    rest = tree.child(node, _REST)
    return rest.template if rest else None

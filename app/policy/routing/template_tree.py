"""Templates by their segments: a tree in which a path finds its template, as Litestar does or as OpenAPI has it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import unquote

from app.policy.routing.segment import decoded, is_composite, shape, values_in

TAIL = "**"
# In the tree of paths a parameter has no name, and no segment of a path is spelt like it.
_ONE, _REST = "{}", "{/}"
_ENCODED = re.compile(r"%[0-9A-Fa-f]{2}")


@dataclass(slots=True)
class _Node:
    """A place in a tree, and what follows: other nodes, or a template that goes on alone.

    `composites` are the keys of segments of which a parameter is a part; of two that one text can match, the narrower
    comes first.
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
    """The places in a tree that the first segments of a path lead to. `in_tail` where a `**` matches what follows."""

    nodes: tuple[_Node, ...] = ()
    in_tail: bool = False

    def __bool__(self) -> bool:
        return self.in_tail or bool(self.nodes)

    @property
    def composites(self) -> int:
        """How many segments of text and parameters follow."""
        return sum(len(node.composites) for node in self.nodes)


class TemplateTree:
    """Templates by their segments, each as `spelt` has it.

    Where one template goes on alone it stands in the place of its nodes, which are made when asked for: a large table
    is mostly such ends, and nodes take ten times their place.
    """

    def __init__(self, spelt: Callable[[str], str]) -> None:
        self.root = _Node(0)
        self._spelt = spelt

    def add(self, template: str, parts: Sequence[str], *, by_meaning: bool = False) -> None:
        """Add a template with its segments, and where `by_meaning` with what they mean too.

        A place that two templates share is the template of neither, which is empty.
        """
        node = self.root
        for part in parts:
            key = self._spelt(part)
            known = node.children.get(key)
            if known is None and by_meaning and is_composite(part):
                _add_composite(node, key)
            if known is None and not (by_meaning and "%" in template):
                node.children[key] = template
                return
            child = _Node(node.depth + 1) if known is None else self._grown(known, node)
            node.children[key] = child
            if by_meaning and "%" in part and not is_composite(part):
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

    def start(self, prefix: str) -> Frontier:
        """The place of the templates that begin with a segment."""
        node = self.child(self.root, prefix)
        return Frontier((node,) if node else ())

    def after(self, frontier: Frontier, text: str) -> Frontier:
        """The places that a segment of a path leads to, by every template and not by the most specific one alone."""
        nodes = []
        for node in frontier.nodes:
            keys = [text, *(key for key in node.composites if values_in(key, text) is not None), _ONE]
            nodes += [child for key in keys if (child := self.child(node, key))]
        in_tail = frontier.in_tail or any(_REST in node.children for node in frontier.nodes)
        return Frontier(tuple(nodes), in_tail)

    def keys(self, frontier: Frontier) -> Iterator[str]:
        """The segments that follow and have a text."""
        return (key for node in frontier.nodes for key in node.children if key not in (_ONE, _REST))

    def _grown(self, child: _Node | str, parent: _Node) -> _Node:
        """What follows a node as a node, from which the rest of a lone template follows."""
        if isinstance(child, _Node):
            return child
        parts, depth = child.removesuffix("/").split("/"), parent.depth + 1
        if depth == len(parts):
            return _Node(depth, {}, child)
        key = self._spelt(parts[depth])
        node = _Node(depth, {key: child})
        if key != parts[depth] and is_composite(parts[depth]):
            _add_composite(node, key)
        return node


def _add_composite(node: _Node, key: str) -> None:
    node.composites = tuple(sorted((*node.composites, key), key=lambda each: -decoded(each).length))


def path_key(part: str) -> str:
    """A segment of a template as the tree of paths has it."""
    if part == TAIL:
        return _REST
    if part == "*":
        return _ONE
    return shape(normalized(part))


def normalized(text: str) -> str:
    """The same spelling with capital hex digits, which RFC 3986 section 6.2.2.1 has as the one to write."""
    return _ENCODED.sub(lambda code: code[0].upper(), text) if "%" in text else text


def as_litestar(tree: TemplateTree, node: _Node, parts: Sequence[str]) -> str | None:
    """The template to which Litestar would send a path: each literal segment before a parameter, without a way back."""
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
    return node.template


def most_specific(tree: TemplateTree, node: _Node, parts: Sequence[str], at: int = 0) -> str | None:
    """The most specific template of a path: text before a parameter within text before a parameter.

    Empty where the values of its parameters could be read in two ways.
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

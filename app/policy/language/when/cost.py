"""Estimates the maximum cost of an evaluation from the sizes of its values.

CEL's library has no limit, and a macro evaluates its body for each item: the cost of `a.all(x, x in b)` is a product of
two lists, and `a.all(x, b + b != [x])` copies a list each time. A step is about 8 ns, measured with the library.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from app.policy.language.when.read import MAX_CHARACTERS, MAX_ITEMS
from app.policy.language.when.tree import (
    Binary,
    Call,
    Index,
    ListExpression,
    Literal,
    Name,
    Node,
    Select,
    Ternary,
    Unary,
)

MAX_STEPS = 1_000_000  # about 8 ms
_NODE = 20  # steps to evaluate any node
_CONVERSION = 150  # to convert one item for the library
_COPY = 30  # to copy one item
_CHARACTERS = 8  # compared, searched or copied in one step


class Extent(NamedTuple):
    """The size of a value: its items at all levels, including itself, and the characters of its texts."""

    items: float = 1
    characters: float = 0

    def with_part(self, part: Extent) -> Extent:
        """The extent including another part."""
        return Extent(self.items + part.items, self.characters + part.characters)

    @property
    def steps(self) -> float:
        """The steps to visit all of it once."""
        return self.items + self.characters / _CHARACTERS


class _Cost(NamedTuple):
    steps: float
    extent: Extent


Extents = Mapping[str, Extent]
Estimate = Callable[[Extents], _Cost]
_SCALAR = Extent()
_LARGEST = Extent(MAX_ITEMS + 1, MAX_CHARACTERS)


class Estimator:
    """The maximum number of steps to evaluate a condition.

    `names` are the reads that replace nodes, by id of the node. CEL gets the values of the reads in `values`; the
    others are true or false. `is_bounded`: no readable value costs more than MAX_STEPS.
    """

    def __init__(self, tree: Node, names: Mapping[int, str], values: frozenset[str]) -> None:
        self._names = names
        self._values = values
        self._estimate = self._of(tree)
        self.is_bounded = self._steps(dict.fromkeys(values, _LARGEST)) <= MAX_STEPS

    def steps(self, values: Mapping[str, object]) -> float:
        """The steps for these values, by the name of their read; other values are absent."""
        return self._steps({name: extent_of(values[name]) for name in self._values if name in values})

    def _steps(self, extents: Extents) -> float:
        return self._estimate(extents).steps + _CONVERSION * sum(extent.items for extent in extents.values())

    def _of(self, node: Node) -> Estimate:
        name = self._names.get(id(node))
        if name is None and isinstance(node, Name):
            name = node.name  # bound by a macro
        if name is not None:
            return lambda extents: _Cost(_NODE, extents.get(name, _SCALAR))
        match node:
            case Literal(value=value):
                literal = _Cost(_NODE, extent_of(value))
                return lambda _: literal
            case Binary(operator=operator, left=left, right=right):
                return self._binary(operator, self._of(left), self._of(right))
            case Call(target=Node() as target, arguments=(Name(name=bound), body)):
                return self._macro(bound, self._of(target), self._of(body))
            case Index(base=base, key=key):
                return self._all((self._of(base), self._of(key)))
            case Select(base=base):
                return self._all((self._of(base),))
            case Unary(operand=operand):
                return self._all((self._of(operand),))
            case ListExpression(items=items):
                return self._all(tuple(map(self._of, items)), copies=True)
            case Ternary(condition=condition, yes=yes, no=no):
                return self._all((self._of(condition), self._of(yes), self._of(no)))
            case Call(target=target, arguments=arguments):
                return self._all(tuple(self._of(part) for part in (target, *arguments) if part is not None))
        raise TypeError(f"no such node: {node!r}")

    def _all(self, parts: Iterable[Estimate], *, copies: bool = False) -> Estimate:
        """A node that visits all of its parts once, and whose value is at most as large as all parts together."""

        def estimate(extents: Extents) -> _Cost:
            steps, extent = float(_NODE), Extent(1, 0)
            for part in parts:
                cost = part(extents)
                steps += cost.steps + cost.extent.steps + (_COPY * cost.extent.items if copies else 0)
                extent = extent.with_part(cost.extent)
            return _Cost(steps, extent)

        return estimate

    def _binary(self, operator: str, left: Estimate, right: Estimate) -> Estimate:
        if operator == "+":
            return self._all((left, right), copies=True)
        looks = operator not in ("&&", "||")

        def estimate(extents: Extents) -> _Cost:
            one, other = left(extents), right(extents)
            steps = one.steps + other.steps + _NODE
            return _Cost(steps + one.extent.steps + other.extent.steps if looks else steps, _SCALAR)

        return estimate

    def _macro(self, bound: str, target: Estimate, body: Estimate) -> Estimate:
        def estimate(extents: Extents) -> _Cost:
            holder = target(extents)
            times = max(holder.extent.items - 1, 1)
            # Every estimate is proportional to a size, so an item of mean size represents all items.
            item = Extent(1, holder.extent.characters / times)
            each = body({**extents, bound: item})
            return _Cost(holder.steps + _NODE + times * (each.steps + _NODE), _SCALAR)

        return estimate


def extent_of(value: object) -> Extent:
    """The extent of a value for CEL's library."""
    items = characters = 0
    pending = [value]
    for part in pending:
        items += 1
        if isinstance(part, str):
            characters += len(part)
        elif isinstance(part, list):
            pending += part
        elif isinstance(part, dict):
            pending += (*part, *part.values())
    return Extent(items, characters)

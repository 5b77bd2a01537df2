"""The syntax tree of a condition; every node has its position in the text."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """Part of an expression, from character `start` up to `end`."""

    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A value as written."""

    value: str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A variable, or a name bound by a macro."""

    name: str


@dataclass(frozen=True, slots=True)
class Select(Node):
    """`base.name`; `at` is where the name starts."""

    base: Node
    name: str
    at: int


@dataclass(frozen=True, slots=True)
class Index(Node):
    """`base[key]`."""

    base: Node
    key: Node


@dataclass(frozen=True, slots=True)
class Call(Node):
    """`name(…)` or `target.name(…)`; `at` is where the name starts."""

    target: Node | None
    name: str
    at: int
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """`!operand` or `-operand`."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Two operands and the operator between them."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Ternary(Node):
    """`condition ? yes : no`."""

    condition: Node
    yes: Node
    no: Node


@dataclass(frozen=True, slots=True)
class ListExpression(Node):
    """A list as written."""

    items: tuple[Node, ...]

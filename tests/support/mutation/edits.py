"""Single edits of a Python source, as typical mistakes, which a test should notice.

A comparison is inverted or its boundary moved, `and` becomes `or`, a condition is negated, a guard is removed, a number
is incremented or decremented, two arguments are swapped, a member of a list is dropped.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass

_OTHERS: dict[type[ast.cmpop], tuple[type[ast.cmpop], ...]] = {
    ast.Eq: (ast.NotEq,),
    ast.NotEq: (ast.Eq,),
    ast.Lt: (ast.LtE, ast.GtE),
    ast.LtE: (ast.Lt, ast.Gt),
    ast.Gt: (ast.GtE, ast.LtE),
    ast.GtE: (ast.Gt, ast.Lt),
    ast.In: (ast.NotIn,),
    ast.NotIn: (ast.In,),
    ast.Is: (ast.IsNot,),
    ast.IsNot: (ast.Is,),
}
# Swapping their first two arguments has no effect.
_SYMMETRIC = frozenset({"_agree", "compare_digest", "fits", "max", "min"})
# Log output has no effect on behaviour.
_LOGGERS = frozenset({"_log", "logger", "logging"})


@dataclass(frozen=True, slots=True)
class Edit:
    """An edited source: `text` is the complete source, `line` the place of the edit, from 1."""

    kind: str
    line: int
    text: str


def edits_of(source: str) -> list[Edit]:
    """Every edit of a source, by place. An edit need not change the behaviour."""
    found: dict[str, Edit] = {}
    lines = source.encode().splitlines(keepends=True)
    for kind, node, new in _changes(ast.parse(source)):
        text = _replaced(lines, node, new)
        if text != source:
            found.setdefault(text, Edit(kind, node.lineno, text))
    return sorted(found.values(), key=lambda edit: (edit.line, edit.kind, edit.text))


def _changes(tree: ast.Module) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    """Each edit as its kind, an expression, and its replacement."""
    for node in _reached(tree):
        match node:
            case ast.Compare(ops=[operator]):
                for other in _OTHERS[type(operator)]:
                    yield "comparison", node, _with(node, ops=[other()])
            case ast.BoolOp(op=operator):
                yield "and/or", node, _with(node, op=ast.Or() if isinstance(operator, ast.And) else ast.And())
                for index in range(len(node.values)):
                    rest = [*node.values[:index], *node.values[index + 1 :]]
                    yield "dropped part", node, _with(node, values=rest) if len(rest) > 1 else rest[0]
            case ast.UnaryOp(op=ast.Not(), operand=operand):
                yield "negation", node, operand
            case ast.If(test=test, body=[ast.Raise() | ast.Return() | ast.Continue() | ast.Break()], orelse=[]):
                yield "removed guard", test, ast.Constant(value=False)
                yield from _negated(test)
            case ast.If(test=test) | ast.IfExp(test=test) | ast.While(test=test):
                yield from _negated(test)
            case ast.Constant(value=int(value)) if not isinstance(value, bool):
                for number in (value - 1, value + 1):
                    yield "number", node, ast.Constant(value=number)
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name)) if name in _SYMMETRIC:
                continue
            case ast.Call(args=[first, second, *rest]) if not isinstance(first, ast.Starred):
                if not isinstance(second, ast.Starred):
                    yield "swapped arguments", node, _with(node, args=[second, first, *rest])
            case (
                ast.Tuple(elts=members, ctx=ast.Load()) | ast.List(elts=members, ctx=ast.Load()) | ast.Set(elts=members)
            ) if len(members) > 1 and all(isinstance(member, ast.Constant) for member in members):
                for index in range(len(members)):
                    yield "dropped member", node, _with(node, elts=[*members[:index], *members[index + 1 :]])


def _negated(test: ast.expr) -> Iterator[tuple[str, ast.expr, ast.expr]]:
    # A comparison and a `not` have their own, equivalent edits.
    if not isinstance(test, (ast.Compare, ast.UnaryOp)):
        yield "negation", test, ast.UnaryOp(op=ast.Not(), operand=test)


def _reached(tree: ast.AST) -> Iterator[ast.AST]:
    """The executed nodes: no types, no decorators, no formatted texts, no logging."""
    todo: list[ast.AST] = [tree]
    while todo:
        node = todo.pop()
        match node:
            case ast.JoinedStr():  # positions within it are not those of the source
                continue
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name))) if name in _LOGGERS:
                continue
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                todo += [*node.args.defaults, *filter(None, node.args.kw_defaults), *node.body]
            case ast.ClassDef():
                todo += node.body
            case ast.AnnAssign():
                todo += [] if node.value is None else [node.value]
            case _:
                yield node
                todo += ast.iter_child_nodes(node)


def _with(node: ast.expr, **fields: object) -> ast.expr:
    changed = copy(node)
    for name, value in fields.items():
        setattr(changed, name, value)
    return changed


def _replaced(lines: Sequence[bytes], node: ast.expr, new: ast.expr) -> str:
    assert node.end_lineno is not None and node.end_col_offset is not None
    written = ast.unparse(ast.fix_missing_locations(copy(new)))
    # A tuple has parentheses already, and a constant or a call needs none.
    if not isinstance(new, (ast.Constant, ast.Call, ast.Tuple, ast.List, ast.Set, ast.Name, ast.Attribute)):
        written = f"({written})"
    first, last = node.lineno - 1, node.end_lineno - 1
    middle = (lines[first][: node.col_offset], written.encode(), lines[last][node.end_col_offset :])
    return b"".join((*lines[:first], *middle, *lines[last + 1 :])).decode()

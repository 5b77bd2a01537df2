"""All private API of Casbin that this program uses: the hook that parses a matcher.

Casbin parses the matcher again for each request and interprets its syntax tree, which takes most of the time of a
decision, and has no public option to do otherwise. tests/policy/engine/test_casbin_private.py fails if the hook
changes.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from types import CodeType

import casbin


class _CompiledMatcher:
    """A matcher as compiled code, with the interface of the syntax tree that Casbin expects."""

    __slots__ = ("_code", "_functions")

    def __init__(self, code: CodeType, functions: Mapping[str, object]) -> None:
        self._code = code
        self._functions = {**functions, "__builtins__": {}}

    def eval(self, parameters: dict[str, object]) -> object:
        return eval(self._code, self._functions, parameters)  # noqa: S307  # our constant, never the text of a policy


class CompiledMatcherEnforcer(casbin.FastEnforcer):  # type: ignore[misc]  # Casbin is untyped
    """A FastEnforcer that evaluates `matcher`, which `compile_matcher` made from the matcher of its model."""

    _compiled: _CompiledMatcher | None = None
    matcher: CodeType

    def _get_expression(self, _expression: str, functions: Mapping[str, object]) -> _CompiledMatcher:
        if self._compiled is None:
            self._compiled = _CompiledMatcher(self.matcher, functions)
        return self._compiled


def compile_matcher(text: str, file: str) -> CodeType:
    """Compile the matcher of a model as Casbin parses it; `file` is its name in tracebacks."""
    return compile(ast.Expression(casbin.Enforcer._get_expression(text).ast_parsed_value), file, "eval")

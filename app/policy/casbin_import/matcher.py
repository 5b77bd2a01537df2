"""Turns a matcher into alternatives, each a conjunction of tests: about a field of the request, or about the row alone.

A test that reads attributes (`r.sub.Age`, `eval`, `ipMatch`) has no counterpart in rows. It is kept as such: an allow
that needs it is left out, and a deny applies as if it were met.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import NoReturn

from app.policy.casbin_import.expression import (
    BooleanExpression,
    CallExpression,
    ComparisonExpression,
    ConstantOperand,
    Expression,
    ListOperand,
    NegatedExpression,
    Reference,
)
from app.policy.casbin_import.import_fault import ImportRefused
from app.policy.casbin_import.model_file import CasbinModel
from app.policy.language.fault import did_you_mean

MAX_ALTERNATIVES = 64
EQUALS = "=="
PATTERNS = ("keyMatch", "keyMatch2", "keyMatch3", "keyMatch4", "keyMatch5", "regexMatch")
# Functions of Casbin whose meaning no row has.
_FOREIGN = ("globMatch", "ipMatch", "timeMatch", "eval")


@dataclass(frozen=True, slots=True)
class RowCell:
    """The value of a cell of the row."""

    name: str


@dataclass(frozen=True, slots=True)
class RequestField:
    """The value of a field of the request."""

    name: str


Operand = str | RowCell | RequestField


@dataclass(frozen=True, slots=True)
class FieldTest:
    """A test of one field of the request: `==`, a pattern function, or membership in a role.

    `domain` is the third argument of a role function.
    """

    field: str
    function: str
    argument: str | RowCell
    domain: Operand | None = None


@dataclass(frozen=True, slots=True)
class RowTest:
    """A comparison that only the row decides, such as `p.act == "*"`."""

    left: str | RowCell
    right: str | RowCell
    is_equal: bool


@dataclass(frozen=True, slots=True)
class AttributeTest:
    """A test without counterpart, by its span in the matcher."""

    start: int
    end: int


MatcherTest = FieldTest | RowTest | AttributeTest
Alternative = tuple[MatcherTest, ...]


def alternatives(model: CasbinModel, expression: Expression) -> tuple[Alternative, ...]:
    """The alternatives of a matcher: it is met if every test of one of them is. Raises ImportRefused."""
    return tuple(dict.fromkeys(_MatcherReader(model).read(expression)))


class _MatcherReader:
    def __init__(self, model: CasbinModel) -> None:
        self._model = model

    def read(self, expression: Expression) -> list[Alternative]:
        match expression:
            case BooleanExpression("||"):
                found = [each for item in expression.items for each in self.read(item)]
            case BooleanExpression():
                found = [()]
                for item in expression.items:
                    found = [(*one, *other) for one, other in product(found, self.read(item))]
                    self._check_count(found, expression)
            case NegatedExpression():
                found = [(self._negated(expression),)]
            case ComparisonExpression("in"):
                found = self._membership(expression)
            case ComparisonExpression():
                found = [(self._comparison(expression),)]
            case CallExpression():
                found = [(self._call(expression),)]
            case _:
                self._refuse(expression, "this is not a test: compare it, or pass it to a function")
        self._check_count(found, expression)
        return found

    def _negated(self, expression: NegatedExpression) -> MatcherTest:
        if isinstance(expression.item, BooleanExpression):
            self._refuse(expression, "`!` may precede one test only", "write it for each test")
        for test in (test for each in self.read(expression.item) for test in each):
            if isinstance(test, RowTest):
                return RowTest(test.left, test.right, not test.is_equal)
        return AttributeTest(expression.start, expression.end)

    def _comparison(self, expression: ComparisonExpression) -> MatcherTest:
        if expression.operator not in ("==", "!="):
            self._check_operands(expression)
            return AttributeTest(expression.start, expression.end)
        left, right = self._operand(expression.left), self._operand(expression.right)
        is_equal = expression.operator == "=="
        if left is None or right is None:
            return AttributeTest(expression.start, expression.end)
        if not isinstance(left, RequestField) and not isinstance(right, RequestField):
            return RowTest(left, right, is_equal)
        if isinstance(right, RequestField):
            left, right = right, left
        if not is_equal or isinstance(right, RequestField) or not isinstance(left, RequestField):
            return AttributeTest(expression.start, expression.end)
        return FieldTest(left.name, EQUALS, right)

    def _membership(self, expression: ComparisonExpression) -> list[Alternative]:
        """`r.sub in ("a", "b")`: an alternative for each item. In a text it is a search, which rows cannot express."""
        left = self._operand(expression.left)
        if not isinstance(expression.right, ListOperand):
            self._operand(expression.right)
            return [(AttributeTest(expression.start, expression.end),)]
        items = [self._operand(item) for item in expression.right.items]
        if not isinstance(left, RequestField) or any(item is None or isinstance(item, RequestField) for item in items):
            return [(AttributeTest(expression.start, expression.end),)]
        return [(FieldTest(left.name, EQUALS, item),) for item in items if isinstance(item, str | RowCell)]

    def _call(self, call: CallExpression) -> MatcherTest:
        if call.name in _FOREIGN:
            return AttributeTest(call.start, call.end)
        if call.name in self._model.groups:
            return self._role(call)
        if call.name not in PATTERNS:
            hint = did_you_mean(call.name, (*PATTERNS, *self._model.groups))
            hint = hint or "a function of your program cannot be imported: replace it, or leave its rows out"
            self._refuse(call, f"`{call.name}` is not a function of Casbin, so its meaning is not in these files", hint)
        if len(call.arguments) != 2:
            self._refuse(call, f"`{call.name}` takes two arguments")
        field, argument = (self._operand(each) for each in call.arguments)
        if field is None:
            return AttributeTest(call.start, call.end)
        if not isinstance(field, RequestField) or not isinstance(argument, str | RowCell):
            self._refuse(
                call, f"`{call.name}` must compare a field of the request with a cell of the row, in this order"
            )
        return FieldTest(field.name, call.name, argument)

    def _role(self, call: CallExpression) -> MatcherTest:
        if len(call.arguments) not in (2, 3):
            self._refuse(call, f"`{call.name}` takes two arguments, or three with a domain")
        field, argument, *rest = (self._operand(each) for each in call.arguments)
        if field is None or (rest and rest[0] is None):
            return AttributeTest(call.start, call.end)
        if not isinstance(field, RequestField) or not isinstance(argument, str | RowCell):
            self._refuse(call, f"`{call.name}` must be asked about a field of the request and a cell, in this order")
        return FieldTest(field.name, call.name, argument, rest[0] if rest else None)

    def _operand(self, expression: Expression) -> Operand | None:
        """A constant, a cell or a field; None for an attribute of one, or a number."""
        if isinstance(expression, ConstantOperand):
            return expression.value if expression.is_text else None
        if isinstance(expression, Reference):
            return self._reference(expression)
        if not isinstance(expression, CallExpression) or expression.name not in _FOREIGN:
            self._refuse(expression, "this cannot be compared")
        return None

    def _reference(self, reference: Reference) -> Operand | None:
        name = reference.path[0]
        known = self._model.request if reference.side == "r" else self._model.policy
        if name not in known:
            message = f"the model does not define `{reference.side}.{name}`"
            self._refuse(reference, message, did_you_mean(name, known) or f"it defines {', '.join(known)}")
        if len(reference.path) > 1:
            return None
        return RequestField(name) if reference.side == "r" else RowCell(name)

    def _check_operands(self, expression: ComparisonExpression) -> None:
        for side in (expression.left, expression.right):
            self._operand(side)

    def _check_count(self, found: list[Alternative], expression: Expression) -> None:
        if len(found) > MAX_ALTERNATIVES:
            self._refuse(expression, f"the matcher has more than {MAX_ALTERNATIVES} alternatives")

    def _refuse(self, at: Expression, message: str, hint: str = "") -> NoReturn:
        raise ImportRefused([self._model.fault("matcher", at.start, at.end - at.start, message, hint)])

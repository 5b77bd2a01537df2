"""The alternatives of a matcher for one row, with the values of the row."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.policy.casbin_import.casbin_functions import matches, pattern_error
from app.policy.casbin_import.casbin_rows import CasbinRow
from app.policy.casbin_import.import_options import RequestFields
from app.policy.casbin_import.matcher import (
    EQUALS,
    Alternative,
    AttributeTest,
    FieldTest,
    MatcherTest,
    RequestField,
    RowCell,
    RowTest,
)
from app.policy.casbin_import.model_file import CasbinModel
from app.policy.casbin_import.subject_needs import RequestDomain, ResolvedTest


@dataclass(frozen=True, slots=True)
class ResolvedAlternative:
    """An alternative for one row: tests with their fields, and what rows cannot ask about."""

    tests: tuple[tuple[str, ResolvedTest], ...]
    attributes: frozenset[MatcherTest]

    def of(self, field: str | None) -> tuple[ResolvedTest, ...]:
        """The tests of a field."""
        return tuple(test for name, test in self.tests if name == field)


class AlternativeReader:
    """Resolves the alternatives of a matcher."""

    def __init__(self, model: CasbinModel, fields: RequestFields, alternatives: Sequence[Alternative]) -> None:
        self._model = model
        self._fields = fields
        self._alternatives = alternatives

    def read(self, row: CasbinRow) -> list[ResolvedAlternative]:
        """The alternatives that the row leaves open, without those that another one includes."""
        found = [each for alternative in self._alternatives if (each := self._resolved(row, alternative))]
        for one in tuple(found):
            if any(other is not one and self._includes(other, one) for other in found):
                found.remove(one)
        return found

    def _resolved(self, row: CasbinRow, alternative: Alternative) -> ResolvedAlternative | None:
        tests: dict[tuple[str, ResolvedTest], None] = {}
        attributes: set[MatcherTest] = set()
        for test in alternative:
            if isinstance(test, RowTest):
                if (self._value(row, test.left) == self._value(row, test.right)) is not test.is_equal:
                    return None
            elif isinstance(test, AttributeTest) or not self._is_known(test):
                attributes.add(test)
            else:
                argument, domain = self._value(row, test.argument), self._domain(row, test)
                tests[test.field, ResolvedTest(test.function, argument, domain)] = None
        return ResolvedAlternative(tuple(tests), frozenset(attributes))

    def _domain(self, row: CasbinRow, test: FieldTest) -> str | RequestDomain | None:
        """The domain of a role; a role definition of two parameters ignores it."""
        if test.domain is None or self._model.groups[test.function] == 2:
            return None
        return RequestDomain() if isinstance(test.domain, RequestField) else self._value(row, test.domain)

    def _is_known(self, test: FieldTest) -> bool:
        """Whether the field has a part in requests here. Only the roles of subjects depend on the request's domain."""
        fields = self._fields
        if isinstance(test.domain, RequestField):
            return test.field == fields.subject and test.domain.name == fields.domain
        return test.field in (fields.subject, fields.domain, fields.object, fields.action)

    def _includes(self, wide: ResolvedAlternative, narrow: ResolvedAlternative) -> bool:
        """Whether each request that meets the narrow alternative meets the wide one."""
        if not wide.attributes <= narrow.attributes:
            return False
        return all(any(self._implies(one, test) for one in narrow.tests) for test in wide.tests)

    def _implies(self, one: tuple[str, ResolvedTest], other: tuple[str, ResolvedTest]) -> bool:
        (field, test), (other_field, wide) = one, other
        if one == other:
            return True
        if field != other_field or test.function != EQUALS:
            return False
        if wide.function in self._model.groups:  # each name has the role of its own name
            return test.value == wide.value
        return not pattern_error(wide.function, wide.value) and matches(wide.function, test.value, wide.value)

    def _value(self, row: CasbinRow, operand: str | RowCell) -> str:
        return operand if isinstance(operand, str) else row.cells[self._model.policy.index(operand.name)]

"""`when`: a condition in CEL, checked and compiled when the policy loads, and evaluated by decisions.

`when.shape` defines its variables, `when.syntax` its grammar. `when.check` finds faults, `when.read` fetches the values
that it reads, and CEL's library evaluates the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

from app.policy.language.when.check import Checker
from app.policy.language.when.context import LazyContext
from app.policy.language.when.cost import MAX_STEPS, Estimator
from app.policy.language.when.program import compile_program
from app.policy.language.when.read import NoValue, VariableRead
from app.policy.language.when.shared import SharedPart, read_all
from app.policy.language.when.syntax import ConditionSyntaxError, parse

if TYPE_CHECKING:
    import cel

# The six variables by name, each of the shape that `when.shape.Variables` gives it.
Context = Mapping[str, object]
NO_CONTEXT: Context = MappingProxyType({})

_PANIC_MODULE = "pyo3_runtime"  # defines the BaseException for panics of the Rust library
_WHY: Mapping[type[BaseException], str] = {
    TypeError: "a value is of the wrong type",
    KeyError: "a key is missing",
    IndexError: "an index is out of range",
    ZeroDivisionError: "a division by zero",
    OverflowError: "a number is too large",
    RuntimeError: "a value does not fit a function",
}


class ConditionError(Exception):
    """A condition could not be evaluated. It never opens anything. The message contains no value of the context."""


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """Why an expression is not a valid condition; `offset` counts characters from the start of the text."""

    message: str
    offset: int
    length: int = 1
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition. `reads` are the values that it reads, by their names in the program.

    `cost` estimates the work of an evaluation; None if no value can make it too much.
    """

    text: str
    reads: Mapping[str, VariableRead] = field(compare=False, repr=False)
    _program: cel.Program = field(compare=False, repr=False)
    cost: Estimator | None = field(default=None, compare=False, repr=False)

    @property
    def references(self) -> frozenset[str]:
        """Every path that it reads, as written in conditions: `subject.claims.email`."""
        return frozenset(str(read) for read in self.reads.values())

    def met(self, context: Context) -> bool:
        """Whether the condition holds. Raises ConditionError if it cannot be evaluated."""
        if isinstance(context, LazyContext) and context.shared is not None:
            return self._met_again(context.shared.part(self.text, self.reads, context), context)
        values, absent = read_all(self.reads, context)
        return self._evaluate(values, values, absent)

    def _met_again(self, part: SharedPart, context: Context) -> bool:
        """Like `met`, reusing values that were read for an earlier decision."""
        if part.varying:
            values, absent = read_all(part.varying, context)
            every = {**part.values, **values}
            if absent:  # do not use the values of the earlier decision instead
                return self._evaluate(every, every, [*part.absent, *absent])
            part.converted.update(values)
            return self._evaluate(every, part.converted, part.absent)
        if part.outcome is None:
            try:
                part.outcome = self._evaluate(part.values, part.converted, part.absent)
            except ConditionError as error:
                part.outcome = str(error)
        if isinstance(part.outcome, str):
            raise ConditionError(part.outcome)
        return part.outcome

    def _evaluate(
        self, values: Mapping[str, object], given: dict[str, object] | cel.Context, absent: Sequence[NoValue]
    ) -> bool:
        """Evaluate with these values; `given` are the same for CEL's library."""
        if self.cost is not None and self.cost.steps(values) > MAX_STEPS:
            raise ConditionError(f"the values are too large for this condition, in `{self.text}`")
        try:
            outcome = self._program.execute(given)
        except BaseException as error:
            if not isinstance(error, Exception) and type(error).__module__ != _PANIC_MODULE:
                raise
            why = "; ".join(map(str, absent)) or _WHY.get(type(error), f"the evaluator raised {type(error).__name__}")
            # Not chained: the library's message may contain a claim's value, and errors are logged.
            raise ConditionError(f"{why}, in `{self.text}`") from None
        if outcome is True or outcome is False:
            return outcome
        raise ConditionError(f"the outcome is neither true nor false, in `{self.text}`")


def compile_condition(text: str) -> Condition | ConditionFault:
    """Check and compile an expression; returns its fault if it is not valid."""
    checker = Checker(text)
    try:
        checker.check(parse(text))
    except ConditionSyntaxError as fault:
        return ConditionFault(fault.message, fault.start, max(fault.end - fault.start, 1), fault.hint)
    try:
        program = compile_program(checker.flat.text)
    except ValueError:
        return ConditionFault("CEL's library refuses this expression", 0, len(text), "please report it")
    cost = None if checker.cost.is_bounded else checker.cost
    return Condition(text, MappingProxyType(checker.flat.reads), program, cost)

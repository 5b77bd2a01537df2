"""`when`: a condition in CEL, compiled when the policy loads and evaluated while deciding."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

import cel

# What an expression may speak of.
VARIABLES = ("subject", "resource", "action", "params", "request", "context")

Context = Mapping[str, object]
NO_CONTEXT: Context = MappingProxyType({})


class ConditionError(Exception):
    """A condition could not be evaluated. It never opens anything."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled condition."""

    text: str
    _program: cel.Program = field(compare=False, repr=False)

    def met(self, context: Context) -> bool:
        """Whether the condition holds. Raises ConditionError when it cannot say."""
        try:
            outcome = self._program.execute(dict(context))
        except Exception as error:  # the evaluator raises whatever Python type fits its error
            raise ConditionError(f"{type(error).__name__} in `{self.text}`") from error
        if outcome is True or outcome is False:
            return outcome
        raise ConditionError(f"`{self.text}` is {type(outcome).__name__}, not true or false")


@dataclass(frozen=True, slots=True)
class ConditionFault:
    """Why an expression cannot be a condition; `offset` counts characters from the start of the text."""

    message: str
    offset: int
    length: int = 1
    hint: str = ""


def compile_condition(text: str) -> Condition | ConditionFault:
    """Compile an expression, or say what is wrong with it."""
    try:
        program = cel.compile(text)
    except ValueError as error:
        lines = str(error).split("\n")
        caret = next((line for line in lines if line.startswith("| ") and line.endswith("^")), "| ^")
        message = lines[0].rsplit("Syntax error: ", 1)[-1].split(" expecting ")[0]
        return ConditionFault(f"not a CEL expression: {message}", len(caret) - len("| ^"))
    for name in program.references()["variables"]:
        if name not in VARIABLES and not _is_bound(name, text):
            return ConditionFault(
                f"`{name}` is not known in a condition",
                max(text.find(name), 0),
                len(name),
                "known are " + ", ".join(VARIABLES),
            )
    return Condition(text, program)


def _is_bound(name: str, text: str) -> bool:
    """Whether a macro such as `.exists(x, …)` binds the name."""
    compact = text.replace(" ", "")
    return any(f".{macro}({name}," in compact for macro in ("all", "exists", "exists_one", "map", "filter"))

"""Reads of variables that are the same in several decisions: read once, and converted for CEL once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from app.policy.language.when.program import new_context
from app.policy.language.when.read import NoValue, VariableRead

if TYPE_CHECKING:
    import cel

Reads = Mapping[str, VariableRead]


@dataclass(slots=True)
class SharedPart:
    """The constant part of one condition's reads. `varying` are the other reads.

    `outcome` is that of a condition without varying reads, or its error.
    """

    values: Mapping[str, object]
    absent: list[NoValue]
    varying: Reads
    converted: cel.Context
    outcome: bool | str | None = None


class SharedReads:
    """The shared parts of conditions, by text, for decisions with the same `variables`."""

    def __init__(self, variables: Iterable[str]) -> None:
        self._variables = frozenset(variables)
        self._parts: dict[str, SharedPart] = {}

    def part(self, text: str, reads: Reads, context: Mapping[str, object]) -> SharedPart:
        """The part of the condition with this text and these reads."""
        part = self._parts.get(text)
        if part is None:
            constant = {name: read for name, read in reads.items() if read.path[0] in self._variables}
            varying = {name: read for name, read in reads.items() if name not in constant}
            values, absent = read_all(constant, context)
            part = self._parts[text] = SharedPart(values, absent, varying, new_context(values))
        return part


def read_all(reads: Reads, context: Mapping[str, object]) -> tuple[dict[str, object], list[NoValue]]:
    """Read all values; returns the present ones by name, and the reasons why others are absent."""
    values: dict[str, object] = {}
    absent: list[NoValue] = []
    for name, read in reads.items():
        try:
            values[name] = read.ask(context)
        except NoValue as missing:
            # CEL decides whether it matters: `false && <no value>` is false. Not the exception itself, whose traceback
            # would keep all that is in use where it was raised, such as a policy that is checked.
            absent.append(NoValue(*missing.args))
    return values, absent

"""How many bytes of the decision log each class of decisions may have, so that none displaces another.

AuthZEN requests and callers without valid credentials have a fixed share: that is all that a flood of them can take.
Known callers have their share, and what the others leave of theirs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from app.audit.decision_class import DecisionClass

_EIGHTHS: Mapping[DecisionClass, int] = {"known": 4, "authzen": 3, "anonymous": 1}


class ClassExcess(NamedTuple):
    """The class whose oldest decisions are deleted next, and the bytes that are too many."""

    decision_class: DecisionClass
    byte_count: int


@dataclass(frozen=True, slots=True)
class SizeLimit:
    """The bytes that decisions may take; 0 is no limit."""

    max_bytes: int

    def of_class(self, decision_class: DecisionClass, sizes: Mapping[DecisionClass, int]) -> int:
        """The bytes that a class may have, given those that all classes have."""
        if decision_class != "known":
            return self.max_bytes * _EIGHTHS[decision_class] // 8
        others = sum(min(sizes[name], self.of_class(name, sizes)) for name in sizes if name != "known")
        return self.max_bytes - others

    def largest_excess(self, sizes: Mapping[DecisionClass, int]) -> ClassExcess | None:
        """The class that has most more than it may have; None if each has at most that."""
        if not self.max_bytes:
            return None
        found = [ClassExcess(name, size - self.of_class(name, sizes)) for name, size in sizes.items()]
        largest = max(found, key=lambda excess: excess.byte_count)
        return largest if largest.byte_count > 0 else None

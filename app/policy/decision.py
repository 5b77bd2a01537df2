"""The verdict on one request, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from app.policy.rule import Rule


class Reason(StrEnum):
    """Why a decision is what it is."""

    ALLOWED = "a rule allows it"
    DENIED = "a rule denies it"
    NOT_HELD = "no rule that would allow it has all its grants"
    NOT_MET = "the condition of every rule that would allow it is not met"
    CONDITION_ERROR = "a condition could not be evaluated"
    UNRULED = "no rule speaks of it"
    NO_ROUTE = "no route matches it"
    NO_SERVICE = "the policy knows no service of this name"
    CLOSED = "its document does not tell which route it belongs to"


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed; truthy when it is.

    `rule` is the row that decided, `missing` the grants that the nearest row lacks, sorted.
    `errors` are the rows whose condition failed. `revision` names the policy.
    """

    allowed: bool
    reason: Reason
    revision: str
    rule: Rule | None = None
    missing: tuple[str, ...] = ()
    errors: tuple[Rule, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed

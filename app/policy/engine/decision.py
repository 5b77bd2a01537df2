"""The verdict on one request, with its reason."""

from __future__ import annotations

from dataclasses import dataclass

from app.policy.language.reason import Reason
from app.policy.language.rule import Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed; truthy if it is.

    `rule` is the row that decided, `missing` the grants that the caller lacks for the nearest row, sorted.
    `errors` are the rows whose condition failed. `revision` is that of the policy.
    """

    allowed: bool
    reason: Reason
    revision: str
    rule: Rule | None = None
    missing: tuple[str, ...] = ()
    errors: tuple[Rule, ...] = ()

    def __bool__(self) -> bool:
        return self.allowed

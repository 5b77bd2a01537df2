"""The verdict on one request, with its reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from app.policy.language.reason import Reason
from app.policy.language.rule import Rule


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether something is allowed; truthy if it is.

    `rule` is the row that decided, `missing` the grants that the caller lacks for the nearest row, sorted.
    `errors` are the rows whose condition failed. `revision` is that of the policy. `side` is the side that denies an
    app on behalf of a user; `requestable` is false if the caller cannot obtain the missing grants by asking for them.
    """

    allowed: bool
    reason: Reason
    revision: str
    rule: Rule | None = None
    missing: tuple[str, ...] = ()
    errors: tuple[Rule, ...] = ()
    side: Literal["app", "user"] | None = None
    requestable: bool = True

    @property
    def scope(self) -> tuple[str, ...]:
        """The missing grants that the caller may ask for."""
        return self.missing if self.requestable else ()

    def __bool__(self) -> bool:
        return self.allowed

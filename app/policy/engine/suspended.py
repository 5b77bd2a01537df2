"""A suspended policy: too old to be trusted, and not yet replaced, so it decides nothing."""

from __future__ import annotations

from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.condition import NO_CONTEXT, Context

DETAIL = "The policy may be out of date."
RETRY_AFTER = 5  # seconds
# Whether the process lives, and what it lacks, can be asked all the same: these tell nothing that a policy protects.
STILL = frozenset({"/healthz", "/readyz"})


class CannotDecide(Exception):
    """The policy cannot be known now: a 503.

    `detail` is public; `retry_after` is in whole seconds.
    """

    def __init__(self, detail: str = DETAIL, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class Suspended(Snapshot):
    """The last good policy, to be looked at and not to decide by.

    A snapshot in the place of the active one: that nothing is decided costs those nothing that are decided.
    """

    def __init__(self, last: Snapshot) -> None:
        self.__dict__.update(last.__dict__)
        self.last = last

    def decide(self, held: frozenset[str], resource: str, action: str, context: Context = NO_CONTEXT) -> Decision:
        """Decides about health alone. Raises CannotDecide."""
        if resource in STILL:
            return self.last.decide(held, resource, action, context)
        raise CannotDecide

"""A suspended policy: possibly out of date and not yet replaced, so it decides nothing."""

from __future__ import annotations

from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.when.condition import NO_CONTEXT, Context

DETAIL = "The policy may be out of date."
RETRY_AFTER = 5  # seconds
# Health checks stay available: they reveal nothing that a policy protects.
ALWAYS_DECIDED = frozenset({"/healthz", "/readyz"})


class CannotDecide(Exception):
    """The current policy is unknown: a 503.

    `detail` is public; `retry_after` is in whole seconds.
    """

    def __init__(self, detail: str = DETAIL, retry_after: int = RETRY_AFTER) -> None:
        super().__init__(detail)
        self.detail = detail
        self.retry_after = retry_after


class Suspended(Snapshot):
    """The last good policy, for inspection only.

    It replaces the active snapshot, so that ordinary decisions need no check for suspension.
    """

    def __init__(self, last: Snapshot) -> None:
        self.__dict__.update(last.__dict__)
        self._classes, self._interned, self._memo = {}, {}, {}
        self.last = last

    def recall(self, held: frozenset[str], resource: str, action: str) -> Decision | None:
        """None, so that `decide` is called."""
        return None

    def decide(self, held: frozenset[str], resource: str, action: str, context: Context = NO_CONTEXT) -> Decision:
        """Decide about health checks only. Raises CannotDecide."""
        if resource in ALWAYS_DECIDED:
            return self.last.decide(held, resource, action, context)
        raise CannotDecide

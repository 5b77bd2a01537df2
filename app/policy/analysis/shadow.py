"""A policy in shadow: it decides what the active policy has decided, and where they differ is counted.

Nothing asks it for a verdict that counts. What conditions would have read is gone by then, so where its verdict
depends on one, the decision is counted as not compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from app.policy.analysis.contextless import decide_without_context
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot

MAX_DIFFERENCES = 1_000  # kept apart; what differs beyond them is counted as one


class ShadowCaller(NamedTuple):
    """Who asked: a subject, empty for a stranger, and the id of its API key if that was used."""

    subject: str
    key_id: int | None


class ShadowKey(NamedTuple):
    """What differences are told apart by: who asked for what, and what the active policy said."""

    who: ShadowCaller
    action: str
    resource: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """A verdict that the shadow would have reversed, its own decision, how often and when it was last asked for."""

    asked: ShadowKey
    decision: Decision
    number: int
    last: datetime


@dataclass(slots=True)
class Shadow:
    """Compares decisions. `differing` are all that differ, `other` those of them that no difference is kept for."""

    snapshot: Snapshot
    compared: int = 0
    not_compared: int = 0
    differing: int = 0
    other: int = 0
    _differences: dict[ShadowKey, ShadowDifference] = field(default_factory=dict)

    def compare(
        self, held: frozenset[str], resource: str, action: str, asked: ShadowKey, at: datetime
    ) -> ShadowDifference | None:
        """Decide once more what the active policy decided; the difference, when it is the first of its kind.

        `asked` is what is kept of it, fit to be shown.
        """
        decision = decide_without_context(self.snapshot, held, resource, action)
        if decision is None:
            self.not_compared += 1
            return None
        self.compared += 1
        if decision.allowed is asked.allowed:
            return None
        self.differing += 1
        known = self._differences.get(asked)
        if known is None and len(self._differences) >= MAX_DIFFERENCES:
            self.other += 1
            return None
        difference = ShadowDifference(asked, decision, known.number + 1 if known else 1, at)
        self._differences[asked] = difference
        return None if known else difference

    def most_frequent(self, limit: int) -> list[ShadowDifference]:
        """The differences that were met most often."""
        found = sorted(self._differences.values(), key=lambda difference: (-difference.number, difference.asked[1:3]))
        return found[:limit]

"""A shadow policy: it decides again what the active policy decided, and counts the differences.

Its verdicts have no effect. The variables of conditions are gone by then, so a decision that depends on a condition
counts as not compared.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from app.policy.analysis.contextless import decide_without_context
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot

MAX_DIFFERENCES = 1_000  # kept separately; further ones are only counted


class ShadowCaller(NamedTuple):
    """A caller: its subject, empty if anonymous, and the API key or the app that it used, if any."""

    subject: str
    key_id: int | None
    client_id: str | None = None


class ShadowKey(NamedTuple):
    """The key of a difference: who requested what, and the verdict of the active policy."""

    who: ShadowCaller
    action: str
    resource: str
    allowed: bool


@dataclass(frozen=True, slots=True)
class ShadowDifference:
    """A verdict that the shadow would have reversed, its own decision, and how often and when that last happened."""

    key: ShadowKey
    decision: Decision
    number: int
    last: datetime


@dataclass(slots=True)
class Shadow:
    """Compares decisions. `differing` counts all that differ, `other` those beyond MAX_DIFFERENCES."""

    snapshot: Snapshot
    compared: int = 0
    not_compared: int = 0
    differing: int = 0
    other: int = 0
    _differences: dict[ShadowKey, ShadowDifference] = field(default_factory=dict)

    def compare(
        self, held: frozenset[str], resource: str, action: str, key: ShadowKey, at: datetime
    ) -> ShadowDifference | None:
        """Decide again what the active policy decided; returns the difference if it is the first of its kind.

        `key` is what is kept and shown of it.
        """
        decision = decide_without_context(self.snapshot, held, resource, action)
        if decision is None:
            self.not_compared += 1
            return None
        self.compared += 1
        if decision.allowed is key.allowed:
            return None
        self.differing += 1
        known = self._differences.get(key)
        if known is None and len(self._differences) >= MAX_DIFFERENCES:
            self.other += 1
            return None
        difference = ShadowDifference(key, decision, known.number + 1 if known else 1, at)
        self._differences[key] = difference
        return None if known else difference

    def most_frequent(self, limit: int) -> list[ShadowDifference]:
        """The most frequent differences."""
        found = sorted(self._differences.values(), key=lambda difference: (-difference.number, difference.key[1:3]))
        return found[:limit]

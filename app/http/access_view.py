"""Changes of access as programs read them: one shape wherever a policy is published or compared over HTTP."""

from __future__ import annotations

from dataclasses import dataclass

from app.policy.change_words import told
from app.policy.semantic_diff import Difference


@dataclass(frozen=True, slots=True)
class AccessChange:
    """Access that somebody gains or loses; `may` when a condition decides."""

    kind: str
    may: bool
    resource: str
    actions: list[str]
    text: str


def access_of(difference: Difference) -> list[AccessChange]:
    """What a difference means, in words, what cannot be told first."""
    found = [
        AccessChange(change.kind, change.may, change.resource, list(change.actions), told(change))
        for change in difference.changes
    ]
    unknown = [
        AccessChange("gain", True, resource, [action], f"{action} {resource}  has too many rows to tell")
        for resource, action in difference.unknown
    ]
    return [*unknown, *found]

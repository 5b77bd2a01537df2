"""Classes of decisions: each has its own share of the queue and of the storage, so that none displaces another."""

from __future__ import annotations

from typing import Literal, get_args

from app.identity.principal import Method

AUTHZEN_DOOR = "authzen"
# A known caller at any door, an AuthZEN request, or a caller without valid credentials.
DecisionClass = Literal["known", "authzen", "anonymous"]
DECISION_CLASSES: tuple[DecisionClass, ...] = get_args(DecisionClass)


def class_of(door: str, method: Method | None) -> DecisionClass:
    """The class of a decision, by its door and by how the caller was verified."""
    if door == AUTHZEN_DOOR:
        return "authzen"
    return "anonymous" if method is None or method == "anonymous" else "known"

"""Where a completion goes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.policy.editing.suggestions import Suggestion


@dataclass(frozen=True, slots=True)
class CompletionPlace:
    """The indexes of a line between which a completion goes, and what fits there."""

    start: int
    end: int
    suggestions: Iterable[Suggestion]

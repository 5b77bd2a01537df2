"""What changed between two policies, row by row; order and formatting change nothing."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Literal

from app.policy import catalog
from app.policy.catalog import Permission
from app.policy.load import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """A row, catalogue entry or entity that came or went, as text, with the place where it stands or stood."""

    kind: Literal["added", "removed"]
    row: str
    place: str


def changes(old: Policy, new: Policy) -> tuple[Change, ...]:
    """The rows that `new` no longer has and those that it has anew."""
    before, after = _entries(old), _entries(new)
    gone, come = Counter(row for row, _ in before), Counter(row for row, _ in after)
    removed = _pick(before, gone - come)
    added = _pick(after, come - gone)
    return (
        *(Change("removed", row, place) for row, place in removed),
        *(Change("added", row, place) for row, place in added),
    )


def _entries(policy: Policy) -> list[tuple[str, str]]:
    return [
        *((str(rule), rule.place) for rule in policy.rules),
        *((str(row), row.place) for row in policy.memberships),
        *((_permission(entry), catalog.FILE) for entry in policy.catalog.values()),
        *((f"subject {entity}", entity.place) for entity in policy.entities.subjects.values()),
        *((f"resource {entity}", entity.place) for entity in policy.entities.resources.values()),
    ]


def _permission(entry: Permission) -> str:
    return f"permission {entry.name}: {entry.title}{' (deprecated)' if entry.deprecated else ''}. {entry.grants}"


def _pick(entries: list[tuple[str, str]], wanted: Counter[str]) -> list[tuple[str, str]]:
    picked: list[tuple[str, str]] = []
    for row, place in entries:
        if wanted[row] > 0:
            wanted[row] -= 1
            picked.append((row, place))
    return picked

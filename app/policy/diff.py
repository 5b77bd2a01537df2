"""What changed between two policies, row by row; order and formatting change nothing."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import Literal

from app.policy import catalog
from app.policy.aside import aside
from app.policy.catalog import Permission
from app.policy.load import Policy


@dataclass(frozen=True, slots=True)
class Change:
    """A row, catalogue entry or entity that came or went, as text, with the place where it stands or stood."""

    kind: Literal["added", "removed"]
    row: str
    place: str


def changes(old: Policy, new: Policy) -> tuple[Change, ...]:
    """The rules that `new` no longer has and those that it has anew."""
    with aside():
        # What stands in files that did not change is on both sides alike.
        same = {file for file, text in new.source.files.items() if old.source.files.get(file) == text}
        before, after = _entries(old, same), _entries(new, same)
        counted = _counted(before), _counted(after)
        return (
            *(Change("removed", row, place) for row, place in _more(before, *counted)),
            *(Change("added", row, place) for row, place in _more(after, *reversed(counted))),
        )


def _entries(policy: Policy, without: Container[str]) -> list[tuple[str, str]]:
    entries = [
        *((str(rule), rule.place) for rule in policy.rules if rule.file not in without),
        *((str(row), row.place) for row in policy.memberships if row.file not in without),
        *((f"subject {entity}", entity.place) for entity in policy.entities.subjects.values()),
        *((f"resource {entity}", entity.place) for entity in policy.entities.resources.values()),
    ]
    if catalog.FILE not in without:
        entries += ((_permission(entry), catalog.FILE) for entry in policy.catalog.values())
    return entries


def _counted(entries: list[tuple[str, str]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    # A Counter would count them in one step, for which all requests would wait.
    for row, _ in entries:
        counts[row] = counts.get(row, 0) + 1
    return counts


def _permission(entry: Permission) -> str:
    return f"permission {entry.name}: {entry.title}{' (deprecated)' if entry.deprecated else ''}. {entry.grants}"


def _more(entries: list[tuple[str, str]], here: dict[str, int], there: dict[str, int]) -> Iterator[tuple[str, str]]:
    """The entries of which there are more here than there, the first of each."""
    told: dict[str, int] = {}
    for row, place in entries:
        before = told.get(row, 0)
        if before < here[row] - there.get(row, 0):
            told[row] = before + 1
            yield row, place

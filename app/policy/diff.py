"""What changed between two policies, row by row; order and formatting change nothing."""

from __future__ import annotations

from collections.abc import Container, Hashable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from app.policy import catalog
from app.policy.aside import aside
from app.policy.catalog import Permission
from app.policy.load import Policy
from app.policy.rule import Membership, Rule


@dataclass(frozen=True, slots=True)
class Change:
    """A row, catalogue entry or entity that came or went, as text, with the place where it stands or stood."""

    kind: Literal["added", "removed"]
    row: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} {self.row} ({self.place})"


@dataclass(frozen=True, slots=True)
class _Line:
    """What is no row: an entry of the catalogue or an entity, as text."""

    text: str
    place: str

    def __str__(self) -> str:
        return self.text


_Entry = Rule | Membership | _Line


def changes(old: Policy, new: Policy) -> tuple[Change, ...]:
    """The rows that `new` no longer has and those that it has anew."""
    with aside():
        # What stands in files that did not change is on both sides alike.
        same = {file for file, text in new.source.files.items() if old.source.files.get(file) == text}
        more: dict[Hashable, int] = {}  # how many more of an entry there are in `new`
        # A Counter would count them in one step, for which all requests would wait.
        for policy, one in ((new, 1), (old, -1)):
            for entry in _entries(policy, same):
                key = _key(entry)
                more[key] = more.get(key, 0) + one
        gone = {key: -count for key, count in more.items() if count < 0}
        come = {key: count for key, count in more.items() if count > 0}
        return (
            *(Change("removed", str(entry), entry.place) for entry in _first(_entries(old, same), gone)),
            *(Change("added", str(entry), entry.place) for entry in _first(_entries(new, same), come)),
        )


def _entries(policy: Policy, without: Container[str]) -> Iterator[_Entry]:
    yield from (rule for rule in policy.rules if rule.file not in without)
    yield from (row for row in policy.memberships if row.file not in without)
    yield from (_Line(f"subject {entity}", entity.place) for entity in policy.entities.subjects.values())
    yield from (_Line(f"resource {entity}", entity.place) for entity in policy.entities.resources.values())
    if catalog.FILE not in without:
        yield from (_Line(_permission(entry), catalog.FILE) for entry in policy.catalog.values())


def _key(entry: _Entry) -> Hashable:
    """What is equal where the texts of entries are, and made sooner than they."""
    if isinstance(entry, Rule):
        condition = entry.condition.text if entry.condition else None
        return entry.needs, entry.resource, entry.actions, entry.effect, condition
    return (entry.member, entry.grant) if isinstance(entry, Membership) else entry.text


def _permission(entry: Permission) -> str:
    return f"permission {entry.name}: {entry.title}{' (deprecated)' if entry.deprecated else ''}. {entry.grants}"


def _first(entries: Iterator[_Entry], counts: Mapping[Hashable, int]) -> Iterator[_Entry]:
    """As many of each entry as are counted, the first ones."""
    left = dict(counts)
    for entry in entries if left else ():
        if left.get(key := _key(entry), 0) > 0:
            left[key] -= 1
            yield entry

"""What changed between two policies, entry by entry and file by file; order and formatting change nothing."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from app.policy.gc_control import long_lived_build
from app.policy.language import permissions
from app.policy.language.cases import Case
from app.policy.language.entities import Entity, Known
from app.policy.language.load import Policy
from app.policy.language.permissions import Permission
from app.policy.language.rule import Membership, Rule

# What the entries of a file are called, by its folder; of a file beside them, by its ending or name.
_NOUNS = {"tests": ("case", "cases"), "entities": ("entity", "entities"), "upstreams": ("endpoint", "endpoints")}
_ROWS, _PERMISSIONS, _LINES = ("row", "rows"), ("permission", "permissions"), ("line", "lines")
FORMATTING = "comments, order or formatting alone"


@dataclass(frozen=True, slots=True)
class EntryChange:
    """An entry of a file that came or went, as text, with the place where it stands or stood."""

    kind: Literal["added", "removed"]
    row: str
    place: str

    def __str__(self) -> str:
        return f"{self.kind} {self.row} ({self.place})"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file whose text changed, and how many of its entries came and went."""

    name: str
    status: Literal["new", "deleted", "changed"]
    added: int
    removed: int

    def __str__(self) -> str:
        one, many = self._nouns()
        counts = ((self.added, "added"), (self.removed, "removed"))
        words = [f"{count:,} {one if count == 1 else many} {what}" for count, what in counts if count]
        return f"{self.status}: {', '.join(words) or FORMATTING}"

    def _nouns(self) -> tuple[str, str]:
        folder = PurePosixPath(self.name).parent.name
        plain = _ROWS if self.name.endswith(".csv") else _PERMISSIONS if self.name == permissions.FILE else _LINES
        return _NOUNS.get(folder, plain)


@dataclass(frozen=True, slots=True)
class _Line:
    """What is no row: an entry of the catalogue, an entity or an endpoint of another service, as text."""

    text: str
    place: str

    def __str__(self) -> str:
        return self.text


_Entry = Rule | Membership | Case | _Line
_Listing = Callable[[], Iterator[_Entry]]


def changes(old: Policy, new: Policy) -> tuple[EntryChange, ...]:
    """The entries that `new` no longer has and those that it adds, the cases last."""
    with long_lived_build():
        # What stands in files that did not change is on both sides alike.
        same = {file for file, text in new.source.files.items() if old.source.files.get(file) == text}
        return (
            *_changes(_deciding(old, same), _deciding(new, same)),
            *_entity_changes(old, new, same),
            *_changes(_cases(old, same), _cases(new, same)),
        )


def file_changes(old: Policy, new: Policy, entries: Iterable[EntryChange]) -> tuple[FileChange, ...]:
    """The files whose text changed, by name, with how many of the changed `entries` each has."""
    before, after = old.source.files, new.source.files
    counts: dict[tuple[str, str], int] = {}
    for change in entries:
        key = change.place.partition(":")[0], change.kind
        counts[key] = counts.get(key, 0) + 1
    return tuple(
        FileChange(
            name,
            "new" if name not in before else "deleted" if name not in after else "changed",
            counts.get((name, "added"), 0),
            counts.get((name, "removed"), 0),
        )
        for name in sorted({*before, *after})
        if before.get(name) != after.get(name)
    )


def _changes(old: _Listing, new: _Listing) -> Iterator[EntryChange]:
    more: dict[Hashable, int] = {}  # how many more of an entry there are in `new`
    # A Counter would count them in one step, for which all requests would wait.
    for listing, one in ((new, 1), (old, -1)):
        for entry in listing():
            key = _key(entry)
            more[key] = more.get(key, 0) + one
    gone = {key: -count for key, count in more.items() if count < 0}
    come = {key: count for key, count in more.items() if count > 0}
    yield from (EntryChange("removed", str(entry), entry.place) for entry in _first(old(), gone))
    yield from (EntryChange("added", str(entry), entry.place) for entry in _first(new(), come))


def _deciding(policy: Policy, without: Container[str]) -> _Listing:
    """What has a part in decisions, entities apart: rows, permissions and the endpoints of other services."""

    def listing() -> Iterator[_Entry]:
        yield from (rule for rule in policy.rules if rule.file not in without)
        yield from (row for row in policy.memberships if row.file not in without)
        if permissions.FILE not in without:
            yield from (_Line(_permission(entry), permissions.FILE) for entry in policy.catalog.values())
        for service in policy.services:
            file = next((file for file in (service.file, *service.files) if file not in without), None)
            if file is not None:
                yield from (_Line(f"endpoint {route}", file) for route in service.routes)

    return listing


def _entity_changes(old: Policy, new: Policy, same: Container[str]) -> Iterator[EntryChange]:
    """Of entities there are 100,000, each once: they need not be counted."""
    kinds: tuple[Literal["removed", "added"], ...] = ("removed", "added")
    for kind, mine, theirs in zip(kinds, (old.entities, new.entities), (new.entities, old.entities), strict=True):
        for word, known, other in (
            ("subject", mine.subjects, theirs.subjects),
            ("resource", mine.resources, theirs.resources),
        ):
            for entity in _altered(known, other, same):
                yield EntryChange(kind, f"{word} {entity}", entity.place)


def _altered(mine: Known, theirs: Known, without: Container[str]) -> Iterator[Entity]:
    """The entities that are not the same on both sides; of 1 and true, which are equal, the texts differ."""
    for key, entity in mine.items():
        if entity.file in without:
            continue
        found = theirs.get(key)
        if found is not entity and (
            found is None or found.properties != entity.properties or str(found) != str(entity)
        ):
            yield entity


def _cases(policy: Policy, without: Container[str]) -> _Listing:
    return lambda: (case for case in policy.cases if case.file not in without)


def _key(entry: _Entry) -> Hashable:
    """What is equal where the texts of entries are, and made sooner than they."""
    if isinstance(entry, Rule):
        condition = entry.condition.text if entry.condition else None
        return entry.needs, entry.resource, entry.actions, entry.effect, condition
    if isinstance(entry, Case):
        return entry.question, entry.allowed, entry.why.text if entry.why else "", entry.name
    return (entry.member, entry.grant) if isinstance(entry, Membership) else entry.text


def _permission(entry: Permission) -> str:
    return f"permission {entry.name}: {entry.title}{' (deprecated)' if entry.deprecated else ''}. {entry.grants}"


def _first(entries: Iterator[_Entry], counts: Mapping[Hashable, int]) -> Iterator[_Entry]:
    """As many of each entry as are counted, the first ones."""
    left = dict(counts)
    for entry in entries if left else ():
        if left.get(key := _key(entry)):
            left[key] -= 1
            yield entry

"""Compares the text of two policies, entry by entry and file by file, regardless of order and formatting."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

from app.policy.gc_control import long_lived_build
from app.policy.language import issuers, permissions
from app.policy.language.cases import Case
from app.policy.language.entities import Entity, Known
from app.policy.language.load import Policy
from app.policy.language.permissions import Permission
from app.policy.language.row_view import RowView
from app.policy.language.rule import Membership, Rule

# The noun for the entries of a file, by its folder or name; for others it depends on their ending.
_NOUNS = {
    "tests": ("case", "cases"),
    "entities": ("entity", "entities"),
    "upstreams": ("endpoint", "endpoints"),
    permissions.FILE: ("permission", "permissions"),
    issuers.FILE: ("issuer", "issuers"),
}
_ROWS, _LINES = ("row", "rows"), ("line", "lines")
FORMATTING = "only comments, order or formatting"


class EntryChange(RowView, frozen=True):
    """An entry of a file that was added or removed."""

    kind: Literal["added", "removed"]

    def __str__(self) -> str:
        return f"{self.kind} {self.row} ({self.place})"


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file whose text changed, and the numbers of entries added and removed."""

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
        plain = _ROWS if self.name.endswith(".csv") else _LINES
        return _NOUNS.get(PurePosixPath(self.name).parent.name or self.name, plain)


@dataclass(frozen=True, slots=True)
class _Line:
    """An entry that is not a row: a permission, an issuer or an endpoint of another service, as text."""

    text: str
    file: str

    @property
    def view(self) -> RowView:
        """The entry in a JSON document."""
        return RowView(self.file, None, None, self.text)

    def __str__(self) -> str:
        return self.text


_Entry = Rule | Membership | Case | _Line
_Listing = Callable[[], Iterator[_Entry]]


def changes(old: Policy, new: Policy) -> tuple[EntryChange, ...]:
    """Find the entries that `new` removes and adds, cases last."""
    with long_lived_build():
        # Files that did not change have the same entries.
        same = {file for file, text in new.source.files.items() if old.source.files.get(file) == text}
        return (
            *_changes(_decision_entries(old, same), _decision_entries(new, same)),
            *_entity_changes(old, new, same),
            *_changes(_cases(old, same), _cases(new, same)),
        )


def take_changes(policies: list[Policy]) -> tuple[EntryChange, ...]:
    """Find the changes from the first policy of the list to the second, and empty the list.

    A thread that did this keeps its arguments for a moment afterwards. It must not keep the old policy, which is freed
    in steps then.
    """
    new, old = policies.pop(), policies.pop()
    return changes(old, new)


def file_changes(old: Policy, new: Policy, entries: Iterable[EntryChange]) -> tuple[FileChange, ...]:
    """Find the files whose text changed, sorted by name, with the number of changed `entries` of each."""
    before, after = old.source.files, new.source.files
    counts: dict[tuple[str, str], int] = {}
    for change in entries:
        key = change.file, change.kind
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
    more: dict[Hashable, int] = {}  # the number of an entry in `new` minus that in `old`
    # A loop, since a Counter would block all requests while it counts.
    for listing, one in ((new, 1), (old, -1)):
        for entry in listing():
            key = _key(entry)
            more[key] = more.get(key, 0) + one
    removed = {key: -count for key, count in more.items() if count < 0}
    added = {key: count for key, count in more.items() if count > 0}
    yield from (_change("removed", entry.view) for entry in _first(old(), removed))
    yield from (_change("added", entry.view) for entry in _first(new(), added))


def _change(kind: Literal["added", "removed"], at: RowView) -> EntryChange:
    return EntryChange(at.file, at.line, at.column, at.row, kind)


def _decision_entries(policy: Policy, without: Container[str]) -> _Listing:
    """The entries that access depends on, except entities: rows, permissions, issuers, endpoints of other services."""

    def listing() -> Iterator[_Entry]:
        yield from (rule for rule in policy.rules if rule.terms.file not in without)
        yield from (row for row in policy.memberships if row.file not in without)
        if permissions.FILE not in without:
            yield from (_Line(_permission(entry), permissions.FILE) for entry in policy.catalog.values())
        if issuers.FILE not in without:
            yield from (_Line(issuers.describe(issuer), issuers.FILE) for issuer in policy.issuers)
        for service in policy.services:
            file = next((file for file in (service.file, *service.files) if file not in without), None)
            if file is not None:
                yield from (_Line(f"endpoint {route}", file) for route in service.routes)

    return listing


def _entity_changes(old: Policy, new: Policy, same: Container[str]) -> Iterator[EntryChange]:
    """Changes of entities. There may be 100,000, each unique, so they are compared without counting."""
    kinds: tuple[Literal["removed", "added"], ...] = ("removed", "added")
    for kind, own, others in zip(kinds, (old.entities, new.entities), (new.entities, old.entities), strict=True):
        for word, known, other in (
            ("subject", own.subjects, others.subjects),
            ("resource", own.resources, others.resources),
        ):
            for entity in _altered(known, other, same):
                at = entity.view
                yield EntryChange(at.file, at.line, at.column, f"{word} {at.row}", kind)


def _altered(own: Known, others: Known, without: Container[str]) -> Iterator[Entity]:
    """The entities of `own` that differ in `others`. Texts are compared too, since 1 equals true in Python."""
    for key, entity in own.items():
        if entity.file in without:
            continue
        found = others.get(key)
        if found is not entity and (
            found is None or found.properties != entity.properties or str(found) != str(entity)
        ):
            yield entity


def _cases(policy: Policy, without: Container[str]) -> _Listing:
    return lambda: (case for case in policy.cases if case.file not in without)


def _key(entry: _Entry) -> Hashable:
    """A key that is equal for entries with equal texts, and faster to build than the text."""
    if isinstance(entry, Rule):
        terms = entry.terms
        condition = terms.condition.text if terms.condition else None
        return terms.needs, entry.resource, terms.actions, terms.effect, condition
    if isinstance(entry, Case):
        return entry.question, entry.allowed, entry.why.text if entry.why else "", entry.name
    return (entry.member, entry.grant) if isinstance(entry, Membership) else entry.text


def _permission(entry: Permission) -> str:
    return f"permission {entry.name}: {entry.title}{' (deprecated)' if entry.deprecated else ''}. {entry.grants}"


def _first(entries: Iterator[_Entry], counts: Mapping[Hashable, int]) -> Iterator[_Entry]:
    """The first entries of each kind, up to its count."""
    left = dict(counts)
    for entry in entries if left else ():
        if left.get(key := _key(entry)):
            left[key] -= 1
            yield entry

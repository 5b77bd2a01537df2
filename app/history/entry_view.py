"""Entries of the history as programs read them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from app.db.tables.history import PolicyRevision


@dataclass(frozen=True, slots=True)
class AcceptedCases:
    """Who accepted failing and removed cases, and why."""

    author: str
    reason: str


@dataclass(frozen=True, slots=True)
class EntryCases:
    """How the cases of a revision came out when it was published. `removed` are cases of its parent that it lacks."""

    run: int
    failed: int
    removed: int
    accepted: AcceptedCases | None


@dataclass(frozen=True, slots=True)
class Entry:
    """An accepted policy. `kind` is `publish`, `rollback` or, for files that were edited in place, `files`.

    `cases` is null where they were not run: for edited files, and for revisions of before they were.
    """

    id: int
    revision: str
    parent_id: int | None
    kind: str
    author: str
    message: str
    widens: bool
    created_at: datetime
    changes: list[str]
    cases: EntryCases | None


@dataclass(frozen=True, slots=True)
class History:
    """Entries, newest first."""

    next: str | None
    results: list[Entry]


@dataclass(frozen=True, slots=True)
class EntryWithFiles:
    """An accepted policy and its files."""

    entry: Entry
    files: dict[str, str]


def entry_view(row: PolicyRevision) -> Entry:
    """An entry as it is shown."""
    return Entry(
        row.id,
        row.revision,
        row.parent_id,
        row.kind,
        row.author,
        row.message,
        row.widens,
        row.created_at,
        list(row.changes),
        entry_cases(row),
    )


def entry_cases(row: PolicyRevision) -> EntryCases | None:
    """How the cases of a revision came out; None where they were not run."""
    if row.cases_run is None:
        return None
    accepted = AcceptedCases(row.author, row.cases_accepted) if row.cases_accepted else None
    return EntryCases(row.cases_run, row.cases_failed or 0, row.cases_removed or 0, accepted)

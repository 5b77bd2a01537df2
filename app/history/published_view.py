"""The view of a publication, the same over HTTP and on the command line."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import UNSET, UnsetType

from app.history.fleet import FleetProgress
from app.history.published import Published
from app.policy.analysis.access_view import AccessChangeView, AccessSummary, FileView, access_of, files_of, summary_of
from app.policy.analysis.case_report import CaseReport
from app.policy.language.diff import EntryChange


@dataclass(frozen=True, slots=True)
class PublishedPolicy:
    """The revision that is active now, or with `dry_run` would be, and what changes by it.

    `warnings` say what was done without an acknowledgement and may not be meant, as that fewer callers can publish.
    `files_lag` says why the policy directory does not hold it: it is served from memory, and after a restart again.
    """

    revision: str
    parent: str
    widens: bool
    fewer_publishers: bool
    warnings: list[str]
    summary: list[AccessSummary]
    access: list[AccessChangeView]
    files: list[FileView]
    rows: list[EntryChange]
    cases: CaseReport
    # A factory, since the document of the API cannot show the default itself.
    replicas: FleetProgress | UnsetType = field(default_factory=lambda: UNSET)
    files_lag: str | UnsetType = field(default_factory=lambda: UNSET)


def published_view(done: Published, replicas: FleetProgress | None = None) -> PublishedPolicy:
    """View a publication. Slow for a large difference: run it off the event loop."""
    difference = done.difference
    return PublishedPolicy(
        revision=done.revision,
        parent=done.parent,
        widens=difference.widens,
        fewer_publishers=done.fewer is not None,
        warnings=[f"{sentence(done.fewer.summary)}."] if done.fewer else [],
        summary=summary_of(difference),
        access=access_of(difference),
        files=files_of(done.files),
        rows=list(done.entries),
        cases=done.cases,
        replicas=replicas or UNSET,
        files_lag=done.files_lag or UNSET,
    )


def sentence(summary: str) -> str:
    """The summary with its first letter in upper case."""
    return f"{summary[:1].upper()}{summary[1:]}"

"""Changes of access as programs read them: one shape wherever a policy is published or compared over HTTP."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.change_words import describe
from app.policy.analysis.diff_summary import summarize
from app.policy.language.diff import FileChange


@dataclass(frozen=True, slots=True)
class AccessChangeView:
    """Access that is gained or lost; `may` when a condition decides."""

    kind: str
    may: bool
    resource: str
    actions: list[str]
    text: str


@dataclass(frozen=True, slots=True)
class AccessSummary:
    """What callers gain or lose for one reason, in words, and on how many endpoints."""

    kind: str
    may: bool
    endpoints: int
    text: str


@dataclass(frozen=True, slots=True)
class FileView:
    """A file whose text changed, `new`, `deleted` or `changed`, and how many of its entries came and went."""

    name: str
    status: str
    added: int
    removed: int
    text: str


def summary_of(difference: AccessDiff) -> list[AccessSummary]:
    """A difference in a few lines, gains first."""
    return [AccessSummary(each.kind, each.may, each.endpoints, each.text) for each in summarize(difference)]


def files_of(changed: Iterable[FileChange]) -> list[FileView]:
    """The files that changed, by name."""
    return [FileView(each.name, each.status, each.added, each.removed, str(each)) for each in changed]


def access_of(difference: AccessDiff) -> list[AccessChangeView]:
    """What a difference means, in words, what cannot be describe first."""
    found = [
        AccessChangeView(change.kind, change.may, change.resource, list(change.actions), describe(change))
        for change in difference.changes
    ]
    unknown = [
        AccessChangeView("gain", True, resource, [action], f"{action} {resource}  has too many rows to tell")
        for resource, action in difference.unknown
    ]
    return [*unknown, *found]

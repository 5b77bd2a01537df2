"""The JSON documents of `authz policy publish`, `rollback` and `show`: the views of the API, with more fields."""

from __future__ import annotations

from dataclasses import dataclass, field

from msgspec import UNSET, Struct, UnsetType

from app.history.entry_view import Entry
from app.history.published_view import PublishedPolicy
from app.policy.analysis.case_report import CaseReport


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationResult(PublishedPolicy):
    """What was published, or with --dry-run would be. `reasons` are there with --dry-run: why it would be refused."""

    published: bool
    reasons: list[str] | UnsetType = field(default_factory=lambda: UNSET)


class PublicationRefusal(Struct, frozen=True):
    """What must be acknowledged before the policy is published; `reasons` name the options. `published` is false."""

    published: bool
    widens: bool
    fewer_publishers: bool
    reasons: list[str]
    cases: CaseReport | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownRevision(Entry):
    """A policy that was active, with its files."""

    files: dict[str, str]

"""The JSON document of `authz policy diff`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from app.policy.analysis.access_change import AccessChange, Combination, ContributingRow, Side
from app.policy.analysis.diff_summary import Headline
from app.policy.analysis.reroute import Reroute
from app.policy.engine.snapshot import Snapshot
from app.policy.language.diff import EntryChange, FileChange
from app.policy.language.endpoint import Endpoint
from app.policy.language.row_view import RowView


class ComparedPolicy(Struct, frozen=True, kw_only=True):
    """One of the two policies. A policy of the history has neither `directory` nor `server`."""

    directory: str | UnsetType = UNSET
    server: str | UnsetType = UNSET
    revision: str


class SideRow(RowView, frozen=True):
    """A row, and which of the two policies has it."""

    policy: Side


class ChangeSummary(Struct, frozen=True):
    """What callers gain or lose for one reason, on how many endpoints, and the `g` rows that are the reason."""

    change: Literal["gain", "loss"]
    may: Annotated[bool, Meta(description="Whether it depends on a condition.")]
    endpoints: int
    rows: list[SideRow]
    text: str


class CallerGroup(Struct, frozen=True):
    """Callers who hold one grant of each list in `holds`, when these conditions are met, or may be."""

    holds: list[list[str]]
    met: list[str]
    met_or_failing: list[str]


class AppGroup(Struct, frozen=True):
    """Apps that hold these facts and not those."""

    holds: list[str]
    lacks: list[str]


class DiffChange(Struct, frozen=True):
    """Access to an endpoint that callers as in `holds`, `met` and `met_or_failing` gain or lose, except `unless`.

    With `apps` the callers are these apps on behalf of users: their grants are marked, what the user consented to with
    `consented::`, and what the user holds with `on-behalf::`.
    """

    change: Literal["gain", "loss"]
    may: Annotated[bool, Meta(description="Whether it depends on a condition.")]
    resource: str
    actions: list[str]
    reroute: Reroute | None
    holds: list[list[str]]
    met: list[str]
    met_or_failing: list[str]
    unless: list[CallerGroup]
    apps: list[AppGroup]
    rows: list[SideRow]
    text: str


class PolicyDiff(Struct, frozen=True):
    """Who gains and who loses access when the policy `old` becomes `new`, and what changes in the files."""

    widens: bool
    summary: list[ChangeSummary]
    old: ComparedPolicy
    new: ComparedPolicy
    changes: list[DiffChange]
    unknown: list[Endpoint]
    files: list[FileChange]
    entries: list[EntryChange]


def side_row(behind: ContributingRow, snapshots: Mapping[Side, Snapshot]) -> SideRow:
    """View a row, or the line of the entity that has a permission."""
    at = behind.row.view
    is_row = at.file.endswith(".csv")
    text = at.row if is_row else snapshots[behind.side].policy.source.line(behind.row.file, behind.row.line).strip()
    return SideRow(at.file, at.line, at.column, text, behind.side)


def change_summary(headline: Headline) -> ChangeSummary:
    """View a line of the summary."""
    rows = [SideRow(at.file, at.line, at.column, at.row, side) for side, at in _links(headline)]
    return ChangeSummary(headline.kind, headline.may, headline.endpoints, rows, headline.text)


def diff_change(change: AccessChange, snapshots: Mapping[Side, Snapshot], text: str) -> DiffChange:
    """View a change of access; `text` is its line in the report."""
    who = _callers(change.who)
    return DiffChange(
        change=change.kind,
        may=change.may,
        resource=change.resource,
        actions=list(change.actions),
        reroute=change.reroute,
        holds=who.holds,
        met=who.met,
        met_or_failing=who.met_or_failing,
        unless=[_callers(combination) for combination in change.unless],
        apps=[AppGroup(sorted(app.holds), sorted(app.lacks)) for app in change.apps],
        rows=[side_row(behind, snapshots) for behind in change.rows],
        text=text,
    )


def _links(headline: Headline) -> Iterator[tuple[Side, RowView]]:
    return ((link.side, link.row.view) for link in headline.links)


def _callers(combination: Combination) -> CallerGroup:
    return CallerGroup(
        [list(group) for group in combination.holds],
        [when.text for when in combination.met],
        [when.text for when in combination.not_unmet],
    )

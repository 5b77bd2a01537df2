"""Formats the results of the cases of a policy that is published or in the history."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.terminal import Line, plural, quoted

if TYPE_CHECKING:
    from app.db.tables.history import PolicyRevision
    from app.policy.analysis.case_report import CaseReport


def report_lines(report: CaseReport, directory: Path | None) -> Iterator[Line]:
    """The first cases that fail or were removed; nothing if all cases pass.

    `directory` holds the files; None for a revision, whose files are in the database.
    """
    for each in report.failures:
        place = directory / each.place if directory else each.place
        yield [("FAIL", "bold red"), f"  {place}: {each.row}: {each.problem}"]
    if report.failed > len(report.failures):
        shows = f"; `authz policy test {shlex.quote(str(directory))}` shows all" if directory else ""
        yield f"… and {report.failed - len(report.failures):,} more that fail{shows}."
    for each in report.missing:
        yield [("REMOVED", "bold red"), f"  {each.place}: {each.row}"]
    if report.removed > len(report.missing):
        yield f"… and {report.removed - len(report.missing):,} more that were removed."


def acceptance(report: CaseReport) -> str:
    """Why a policy was not published, and what to do."""
    return f"{report.summary}: correct the policy or its tests, or accept this with --accept-failing 'REASON'."


def entry_lines(row: PolicyRevision) -> Iterator[str]:
    """The results of the cases of a revision, if some failed or were removed."""
    if row.cases_failed or row.cases_removed:
        ran = f"{row.cases_failed or 0:,} of {plural(row.cases_run or 0, 'case')} failed"
        removed = f", {row.cases_removed:,} removed" if row.cases_removed else ""
        yield f"{ran}{removed}; accepted by {quoted(row.author)}: {quoted(row.cases_accepted or '')}"

"""The outcome of a change of the policy, and what of it must be acknowledged before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from app.history.refusals import CasesFail, LosesPublishers, Widens
from app.history.words import reason_fault
from app.policy.access_change import Difference
from app.policy.case_report import CaseReport
from app.policy.diff import FileChange
from app.policy.publishers import FewerPublishers
from app.policy.snapshot import Snapshot


@dataclass(frozen=True, slots=True)
class Published:
    """A revision that was accepted, or with `dry_run` would be, and what it changes.

    `replaces` is the newest revision where that cannot be taken here: what changes is told of what is served then.
    `files_lag` says why the policy directory does not hold it, so that it is served from memory.
    """

    snapshot: Snapshot
    parent: str
    difference: Difference
    rows: tuple[str, ...]
    cases: CaseReport
    files: tuple[FileChange, ...] = ()
    replaces: str | None = None
    files_lag: str | None = None
    fewer: FewerPublishers | None = None

    @property
    def revision(self) -> str:
        """The name of the revision."""
        return self.snapshot.revision


def refusal_of(
    outcome: Published, *, acknowledge_widening: bool, acknowledge_fewer_publishers: bool, accept_failing: str
) -> Widens | LosesPublishers | CasesFail | None:
    """Why a change is not made without further acknowledgement; None if it is."""
    if outcome.revision == outcome.parent and outcome.replaces is None:
        return None
    is_accepted = outcome.cases.passed or not reason_fault(accept_failing)
    cases = None if is_accepted else outcome.cases
    is_lockout = outcome.fewer is not None and outcome.fewer.is_lockout and not acknowledge_fewer_publishers
    fewer = outcome.fewer if is_lockout else None
    if (outcome.difference.widens or outcome.replaces) and not acknowledge_widening:
        return Widens(outcome.difference, outcome.replaces, cases, fewer)
    if fewer:
        return LosesPublishers(outcome.difference, fewer, cases)
    return CasesFail(cases) if cases else None


def recorded_message(
    outcome: Published, message: str, *, acknowledge_fewer_publishers: bool, accepted: str | None
) -> str:
    """The message of the audit row: the author's, which cases were accepted, and who can publish no more."""
    notes = [f"accepted: {outcome.cases.summary}: {accepted}"] if accepted else []
    if outcome.fewer is not None:
        notes.append(f"{'acknowledged: ' if acknowledge_fewer_publishers else ''}{outcome.fewer.summary}")
    return f"{message} ({'; '.join(notes)})".lstrip() if notes else message

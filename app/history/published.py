"""The outcome of a change of the policy, and what must be acknowledged before it is made."""

from __future__ import annotations

from dataclasses import dataclass

from app.history.acknowledgements import Acknowledgements, Unacknowledged
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.case_report import CaseReport
from app.policy.analysis.publishers import FewerPublishers
from app.policy.engine.snapshot import Snapshot
from app.policy.language.diff import EntryChange, FileChange


@dataclass(frozen=True, slots=True)
class Published:
    """A revision that was accepted, or with `dry_run` would be, and what it changes.

    `rows` are its changed `entries` as the history keeps them. `replaces` is the newest revision if it cannot be loaded
    here: changes are then relative to the served one. `files_lag` is why the policy directory does not hold the policy,
    so that it is served from memory.
    """

    snapshot: Snapshot
    parent: str
    difference: AccessDiff
    rows: tuple[str, ...]
    cases: CaseReport
    files: tuple[FileChange, ...] = ()
    replaces: str | None = None
    files_lag: str | None = None
    fewer: FewerPublishers | None = None
    entries: tuple[EntryChange, ...] = ()

    @property
    def revision(self) -> str:
        """The name of the revision."""
        return self.snapshot.revision


def refusal_of(outcome: Published, acknowledged: Acknowledgements) -> Unacknowledged | None:
    """The error for a change that needs another acknowledgement; None if it needs none."""
    if outcome.revision == outcome.parent and outcome.replaces is None:
        return None
    widens = outcome.difference.widens or outcome.replaces is not None
    is_lockout = outcome.fewer is not None and outcome.fewer.is_lockout
    refused = Unacknowledged(
        difference=outcome.difference,
        widens=widens and not acknowledged.widening,
        replaces=outcome.replaces,
        fewer=outcome.fewer if is_lockout and not acknowledged.fewer_publishers else None,
        cases=None if outcome.cases.passed or acknowledged.reason else outcome.cases,
    )
    return refused if refused.widens or refused.fewer or refused.cases else None


def recorded_message(outcome: Published, message: str, acknowledged: Acknowledgements) -> str:
    """The message of the audit row: the author's, which cases were accepted, and who can no longer publish."""
    notes = [] if outcome.cases.passed else [f"accepted: {outcome.cases.summary}: {acknowledged.reason}"]
    if outcome.fewer is not None:
        notes.append(f"{'acknowledged: ' if acknowledged.fewer_publishers else ''}{outcome.fewer.summary}")
    return f"{message} ({'; '.join(notes)})".lstrip() if notes else message

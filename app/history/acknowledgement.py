"""What a change that was only tried out would have to be acknowledged for."""

from __future__ import annotations

from app.history.publish import Published
from app.history.refusals import CasesFail, LosesPublishers, Widens
from app.history.words import reason_fault


def refusal_of(
    trial: Published, *, acknowledge_widening: bool, acknowledge_fewer_publishers: bool, accept_failing: str
) -> Widens | LosesPublishers | CasesFail | None:
    """The refusal that `Publisher.publish` would raise for this outcome of a dry run; None if it would publish it."""
    if trial.revision == trial.parent and trial.replaces is None:
        return None
    is_accepted = trial.cases.passed or not reason_fault(accept_failing)
    cases = None if is_accepted else trial.cases
    is_lockout = trial.fewer is not None and trial.fewer.is_lockout and not acknowledge_fewer_publishers
    fewer = trial.fewer if is_lockout else None
    if (trial.difference.widens or trial.replaces) and not acknowledge_widening:
        return Widens(trial.difference, trial.replaces, cases, fewer)
    if fewer:
        return LosesPublishers(trial.difference, fewer, cases)
    return CasesFail(cases) if cases else None

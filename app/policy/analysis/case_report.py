"""The report on a policy's cases before it is published, with the cases that the active policy has and it lacks."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from app.policy.analysis.case_runner import outcome_of, passes
from app.policy.engine.snapshot import Snapshot
from app.policy.gc_control import paused_gc
from app.policy.language.cases import Case
from app.policy.language.grants import known_roles
from app.policy.language.load import Policy
from app.policy.language.row_view import RowView

MAX_SECONDS = 10.0  # to run the cases of one policy: 40,000 cases take a second
MAX_LISTED = 20  # cases of each kind
MAX_TEXT = 400  # characters of a case
_LOOK_EVERY = 256  # cases between two checks of the deadline


class CaseProblem(RowView, frozen=True):
    """A failing or removed case, and the problem."""

    problem: str


@dataclass(frozen=True, slots=True)
class CaseReport:
    """Counts of a policy's cases, and the first problems.

    `removed` counts cases that the previous policy has and this one lacks, `not_run` those that the deadline cut off.
    """

    run: int = 0
    failed: int = 0
    removed: int = 0
    not_run: int = 0
    failures: tuple[CaseProblem, ...] = ()
    missing: tuple[CaseProblem, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every case ran and passed, and none was removed."""
        return not (self.failed or self.removed or self.not_run)

    @property
    def summary(self) -> str:
        """The problems in a few words; empty if there are none."""
        counts = (
            (self.failed, "case fails", "cases fail"),
            (self.removed, "case was removed", "cases were removed"),
            (self.not_run, "case could not be run in time", "cases could not be run in time"),
        )
        return ", ".join(f"{count:,} {one if count == 1 else many}" for count, one, many in counts if count)


def run_cases(
    snapshot: Snapshot,
    before: Policy | None = None,
    *,
    seconds: float = MAX_SECONDS,
    clock: Callable[[], float] = time.monotonic,
) -> CaseReport:
    """Run the cases of a policy for at most `seconds`, and compare them with those of the policy `before`."""
    cases = snapshot.policy.cases
    with paused_gc():
        removed, missing = _removed(before, snapshot.policy) if before else (0, ())
        # The snapshot may be the active one, whose cache is for requests.
        detached = snapshot.detached()
        roles = known_roles(snapshot.policy.memberships)
        deadline = clock() + seconds
        failed, run = 0, len(cases)
        failures: list[CaseProblem] = []
        for number, case in enumerate(cases):
            if number % _LOOK_EVERY == 0 and clock() >= deadline:
                run = number
                break
            if passes(detached, case, roles):
                continue
            failed += 1
            if len(failures) < MAX_LISTED:
                failures.append(_problem(case, outcome_of(detached, case, roles).problem))
    return CaseReport(run, failed, removed, len(cases) - run, tuple(failures), missing)


def _removed(before: Policy, after: Policy) -> tuple[int, tuple[CaseProblem, ...]]:
    files = after.source.files
    if all(files.get(name) == text for name, text in before.source.files.items() if name.startswith("tests/")):
        return 0, ()
    # A loop, since the difference of two large sets would hold the interpreter lock while requests wait.
    kept = set()
    for case in after.cases:
        kept.add(case.question)
    count, first = 0, list[CaseProblem]()
    for case in before.cases:
        if case.question not in kept:
            kept.add(case.question)  # count a duplicate case once
            count += 1
            if len(first) < MAX_LISTED:
                first.append(_problem(case, "the case was removed"))
    return count, tuple(first)


def _problem(case: Case, problem: str) -> CaseProblem:
    text = str(case).removeprefix("case ")
    text = text if len(text) <= MAX_TEXT else f"{text[:MAX_TEXT]}…"
    return CaseProblem(case.file, case.line, None, text, problem)

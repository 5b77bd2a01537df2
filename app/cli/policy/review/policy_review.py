"""Reviews a policy: its faults and findings, its cases, and the difference from the policy before a change."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.policy.comparison import Comparison, compare_policies
from app.cli.policy.directory import fault_of_path
from app.cli.policy.examined_directory import examine_directory
from app.cli.policy.review.git_base import CannotReadBase, GitBase, find_base, repository_root
from app.cli.terminal import plural

if TYPE_CHECKING:
    from app.policy.analysis.case_runner import Outcome
    from app.policy.analysis.examination import Examination
    from app.policy.engine.snapshot import Snapshot

# What can fail a review, in the order of the help.
CONDITIONS = ("faults", "cases", "warnings", "widening")


@dataclass(frozen=True, slots=True)
class PolicyReview:
    """The review of a policy. Without a comparison, `unknown` says why there is none.

    `base` is the commit that it was compared with, `moved_from` its directory there if that had another name. `error`
    is why the base cannot be read at all.
    """

    directory: Path
    examination: Examination
    outcomes: tuple[Outcome, ...]
    comparison: Comparison | None = None
    base: str = ""
    moved_from: str = ""
    unknown: str = ""
    error: str = ""

    @property
    def failed(self) -> tuple[Outcome, ...]:
        """The cases that fail."""
        return tuple(outcome for outcome in self.outcomes if not outcome.passed)

    @property
    def conditions(self) -> frozenset[str]:
        """Which of CONDITIONS hold. A policy that cannot be compared counts as one that widens access."""
        compared = self.comparison
        holds = {
            "faults": bool(self.examination.faults),
            "cases": bool(self.failed) or not self.outcomes,
            "warnings": any(finding.severity == "warning" for finding in self.examination.findings),
            "widening": compared.difference.widens if compared else bool(self.unknown or self.error),
        }
        return frozenset(name for name, is_so in holds.items() if is_so)

    def fails(self, conditions: Collection[str]) -> bool:
        """Whether one of these conditions holds."""
        return not self.conditions.isdisjoint(conditions)


def review_policy(directory: Path, base: str | None) -> PolicyReview:
    """Review the policy of a directory that exists now or did at the base, a branch or commit.

    Raises CannotReadBase if it did not exist at the base either, or is not in the repository, also by a link: faults
    quote lines, and the author of a change must not see files of the machine.
    """
    if base is not None and _is_outside(directory):
        raise CannotReadBase(f"the policy directory `{directory}` is outside of the repository")
    examination = _examined(directory)
    snapshot = None if examination.faults else examination.snapshot
    review = PolicyReview(directory, examination, _outcomes(snapshot) if snapshot else ())
    if base is None:
        return review
    try:
        return _compared(review, find_base(base), snapshot)
    except CannotReadBase as error:
        if fault_of_path(directory):
            raise
        return replace(review, error=str(error))


def _is_outside(directory: Path) -> bool:
    try:
        root = repository_root()
    except CannotReadBase:  # which the comment reports
        return False
    return not Path(os.path.realpath(directory)).is_relative_to(os.path.realpath(root))


def _examined(directory: Path) -> Examination:
    from app.policy.analysis.examination import Examination
    from app.policy.language.fault import Fault

    if what := fault_of_path(directory):
        message = f"the policy directory {what}"
        hint = (
            "servers keep their last policy until they restart, and cannot start then; "
            "if it has another name now, review that one"
        )
        return Examination((Fault.of_file("no-directory", ".", message, hint),), (), None)
    return examine_directory(directory)


def _outcomes(snapshot: Snapshot) -> tuple[Outcome, ...]:
    from app.policy.analysis.case_runner import run

    return tuple(run(snapshot, snapshot.policy.cases))


def _compared(review: PolicyReview, base: GitBase, snapshot: Snapshot | None) -> PolicyReview:
    """The review with a comparison, or why there is none."""
    from app.cli.routes import route_table
    from app.policy.engine.snapshot import Snapshot
    from app.policy.language.fault import PolicyRefused
    from app.policy.language.load import load

    name = _name(review.directory, base.root)
    is_moved = not base.has(name)
    old_name = base.moved_from(name) if is_moved else name
    if is_moved and fault_of_path(review.directory):
        raise CannotReadBase(f"the policy directory `{review.directory}` exists neither now nor in {base.commit[:10]}")
    review = replace(review, base=base.commit, moved_from=(old_name or "") if is_moved else "")
    if old_name is None:
        return replace(review, unknown="The base has no policy in this directory, so all access in it is new.")
    if snapshot is None:
        return replace(review, unknown="A policy with faults is not compared with that of the base.")
    try:
        with base.directory(old_name) as copy:
            before = Snapshot(load(copy), route_table())
    except PolicyRefused as refused:
        faults = plural(len(refused.faults), "fault")
        return replace(review, unknown=f"The policy of the base has {faults}, so nothing can be compared with it.")
    old_place = Path(old_name) if is_moved else review.directory
    return replace(review, comparison=compare_policies(before, snapshot, old_place, review.directory))


def _name(directory: Path, root: Path) -> str:
    """The name of a directory relative to the root of its repository. Raises CannotReadBase."""
    name = os.path.relpath(directory.absolute(), root)
    if name == ".." or name.startswith("../"):
        raise CannotReadBase(f"the policy directory `{directory}` is outside of the repository {root}")
    return name

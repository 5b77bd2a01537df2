"""What the author of a change of the policy must acknowledge, and the error for a change that lacks it."""

from __future__ import annotations

from dataclasses import dataclass

from app.history.change_message import reason_fault
from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.case_report import CaseReport
from app.policy.analysis.publishers import FewerPublishers


@dataclass(frozen=True, slots=True)
class Acknowledgements:
    """What the author says is meant: wider access, fewer publishers, and why failing or removed cases are accepted."""

    widening: bool = False
    fewer_publishers: bool = False
    failing_cases: str = ""

    @property
    def reason(self) -> str:
        """Why cases may fail or be removed; empty without a reason that is accepted."""
        return "" if reason_fault(self.failing_cases) else self.failing_cases.strip()


NOTHING_ACKNOWLEDGED = Acknowledgements()


class Unacknowledged(Exception):
    """A change was not acknowledged.

    It widens access if `widens`, or that is unknown because `replaces`, the newest revision, cannot be loaded here.
    Without `fewer`, and `cases`, nothing about these needs to be acknowledged. `difference` is empty if only cases do.
    """

    def __init__(
        self,
        *,
        difference: AccessDiff,
        widens: bool,
        replaces: str | None,
        fewer: FewerPublishers | None,
        cases: CaseReport | None,
    ) -> None:
        super().__init__("the change must be acknowledged")
        self.difference = difference if widens or fewer else AccessDiff(())
        self.widens = widens
        self.replaces = replaces if widens else None
        self.fewer = fewer
        self.cases = cases

    @property
    def outcome(self) -> str:
        """The first reason, as the metrics name it."""
        return "widens" if self.widens else "publishers" if self.fewer else "cases"

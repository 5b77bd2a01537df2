"""The errors that refuse a publication."""

from __future__ import annotations

from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.case_report import CaseReport
from app.policy.analysis.publishers import FewerPublishers


class StaleParent(Exception):
    """The change is not based on the active policy."""

    def __init__(self, active: str) -> None:
        super().__init__(f"the active policy is {active}")
        self.active = active


class Widens(Exception):
    """The change widens access, or that cannot be determined, and this was not acknowledged.

    `replaces` is the newest revision if it cannot be loaded here, so that the change cannot be compared with it.
    `cases` and `fewer` need an acknowledgement too, if they are set.
    """

    def __init__(
        self,
        difference: AccessDiff,
        replaces: str | None = None,
        cases: CaseReport | None = None,
        fewer: FewerPublishers | None = None,
    ) -> None:
        super().__init__("the change widens access")
        self.difference = difference
        self.replaces = replaces
        self.cases = cases
        self.fewer = fewer


class LosesPublishers(Exception):
    """No known caller could publish any more, and this was not acknowledged. `cases` as for Widens."""

    def __init__(self, difference: AccessDiff, fewer: FewerPublishers, cases: CaseReport | None = None) -> None:
        super().__init__(fewer.summary)
        self.difference = difference
        self.fewer = fewer
        self.cases = cases


class CasesFail(Exception):
    """Cases fail, or cases of the active policy were removed, and no reason to accept that was given."""

    def __init__(self, cases: CaseReport) -> None:
        super().__init__(cases.summary)
        self.cases = cases


class NoSuchRevision(Exception):
    """The history has no such revision."""

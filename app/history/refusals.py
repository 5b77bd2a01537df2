"""Why a policy is not published."""

from __future__ import annotations

from app.policy.analysis.access_change import AccessDiff
from app.policy.analysis.case_report import CaseReport
from app.policy.analysis.publishers import FewerPublishers


class StaleParent(Exception):
    """Another policy is active than the one that the change was made from."""

    def __init__(self, active: str) -> None:
        super().__init__(f"the active policy is {active}")
        self.active = active


class Widens(Exception):
    """The change widens access, and this was not acknowledged.

    Or it cannot be determined: `replaces` is the newest revision, where that is one that cannot be taken here. `cases`
    are those that need an acknowledgement besides, if there are any, and so is `fewer`.
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
    """No caller that was ever seen could publish any more, and this was not acknowledged. `cases` as for Widens."""

    def __init__(self, difference: AccessDiff, fewer: FewerPublishers, cases: CaseReport | None = None) -> None:
        super().__init__(fewer.summary)
        self.difference = difference
        self.fewer = fewer
        self.cases = cases


class CasesFail(Exception):
    """Cases of the policy fail, or it lacks cases of the active one, and no reason to accept that was given."""

    def __init__(self, cases: CaseReport) -> None:
        super().__init__(cases.summary)
        self.cases = cases


class NoSuchRevision(Exception):
    """No policy with this revision was ever accepted here."""

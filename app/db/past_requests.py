"""A request of the past: the decisions on it in the log, and what a policy says of it now."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.past_decision import CannotDecideAgain, decide_again
from app.audit.view import DecisionView, view
from app.db import decisions
from app.db.decisions import LoggedRecord
from app.policy.analysis.explained import ExplanationView, explanation_view
from app.policy.analysis.explanation import Explanation
from app.policy.engine.snapshot import Snapshot
from app.policy.language.given import Given

MAX_COUNTED = 100  # decisions on one request


@dataclass(frozen=True, slots=True)
class PastRequest:
    """The newest decision on a request, how many `others` there are, and the explanation of what a policy says now.

    Without an explanation `note` says why there is none.
    """

    newest: LoggedRecord
    others: int
    explanation: Explanation | None
    note: str | None

    @property
    def then(self) -> DecisionView:
        """The view of the newest decision."""
        return view(self.newest.id, self.newest.record)

    @property
    def now(self) -> ExplanationView | None:
        """The view of the explanation."""
        return explanation_view(self.explanation) if self.explanation else None


async def find_past(session: AsyncSession, request_id: str, snapshot: Snapshot, given: Given) -> PastRequest | None:
    """The decisions on a request id; None without any."""
    if not request_id.isprintable():  # no such id is logged, and PostgreSQL refuses NUL
        return None
    page = await decisions.page(session, DecisionFilter(request_id=request_id), size=MAX_COUNTED)
    if not page.rows:
        return None
    newest, *others = page.rows
    try:
        return PastRequest(newest, len(others), decide_again(newest.record, snapshot, given), None)
    except CannotDecideAgain as why:
        return PastRequest(newest, len(others), None, f"What the policy says now cannot be told: {why}.")

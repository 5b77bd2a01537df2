"""A request of the past: what was decided then, what the policy says now, and who may ask."""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from sqlalchemy.ext.asyncio import AsyncSession

from app.audit.decision_filter import DecisionFilter
from app.audit.past_decision import CannotDecideAgain, decide_again
from app.audit.view import DecisionView, view
from app.db import decisions as logged
from app.http.door.enforcement import decide
from app.http.door.request_context import request_context
from app.http.wire.handlers import AllowedRequest
from app.policy.analysis.explained import ExplanationView, explanation_view
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot
from app.policy.language.given import Given
from app.policy.language.when.condition import NO_CONTEXT
from app.services import services_of

MAX_COUNTED = 100  # decisions on one request
NOT_LOGGED = "No decision on this request is in the log: it is too new, too old, or was not sampled."


@dataclass(frozen=True, slots=True)
class PastRequest:
    """The newest decision on a request, how many `others` there are, and what is said `now`, or in `note` why not."""

    then: DecisionView
    now: ExplanationView | None
    others: int
    note: str | None


async def past(session: AsyncSession, request_id: str, snapshot: Snapshot, given: Given) -> PastRequest | None:
    """What the log has on a request id; None when it has nothing. What it says is for whom `may_also` lets read it."""
    if not request_id.isprintable():  # none that is logged, and PostgreSQL takes no NUL
        return None
    page = await logged.page(session, DecisionFilter(request_id=request_id), size=MAX_COUNTED)
    if not page.rows:
        return None
    newest, *others = page.rows
    then = view(newest.id, newest.record)
    try:
        now = explanation_view(decide_again(newest.record, snapshot, given))
    except CannotDecideAgain as why:
        return PastRequest(then, None, len(others), f"What the policy says now cannot be told: {why}.")
    return PastRequest(then, now, len(others), None)


def may_also(request: AllowedRequest, door: str, resource: str, action: str) -> Decision:
    """What the policy decides on a further action of the sender of this request. It is logged, as from a door."""
    started = perf_counter_ns()
    principal, services = request.user, services_of(request.app)
    snapshot = services.live.active

    context = (
        request_context(request.scope, principal, snapshot, resource, action, proxies=services.proxies)
        if snapshot.has_conditions
        else NO_CONTEXT
    )
    return decide(
        snapshot,
        services.decision_log,
        door=door,
        principal=principal,
        resource=resource,
        action=action,
        context=context,
        started=started,
    )

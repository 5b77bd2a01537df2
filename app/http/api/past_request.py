"""A second decision about the caller of a request, for parts of a response that need another permission."""

from __future__ import annotations

from time import perf_counter_ns

from app.http.door.enforcement import decide
from app.http.door.request_context import request_context
from app.http.wire.handlers import AllowedRequest
from app.policy.engine.decision import Decision
from app.policy.language.when.condition import NO_CONTEXT
from app.services import services_of

NOT_LOGGED = "No decision on this request is in the log: it is too new, too old, or was not sampled."


def may_also(request: AllowedRequest, door: str, resource: str, action: str) -> Decision:
    """Decide about a further action of the caller. The decision is logged for `door`."""
    started = perf_counter_ns()
    principal, services = request.user, services_of(request.app)
    snapshot = services.live.active

    context = (
        request_context(request.scope, principal, snapshot, resource, action, proxies=services.proxies)
        if snapshot.is_conditional(resource, action)
        else NO_CONTEXT
    )
    return decide(
        snapshot,
        services.decision_log,
        door=door,
        held=principal.held,
        principal=principal,
        resource=resource,
        action=action,
        context=context,
        started=started,
    )

"""The door: authenticates and decides for every matched route before anything else sees the request.

The PEP, in the terms of XACML and AuthZEN. Litestar has already matched the route; 404 and 405 are the same
for everyone and never come here.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter_ns

from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.gateway.canonical import path_fault
from app.http.context import request_context
from app.http.refusal import Refusals, refusal, unavailable
from app.http.route_table import RouteKeys
from app.identity.authenticate import Authenticator
from app.identity.errors import CannotVerify, Fault, Unauthenticated
from app.policy.condition import NO_CONTEXT
from app.policy.live import LivePolicy

_NAME = "app"  # of this door, in the decision log


@dataclass(frozen=True, slots=True)
class _Inside:
    keys: RouteKeys
    live: LivePolicy
    authenticator: Authenticator
    refusals: Refusals
    log: DecisionLog


class Door(ASGIMiddleware):
    """Shut until `open` gives it a policy and a way to know callers."""

    def __init__(self) -> None:
        self._inside: _Inside | None = None

    def open(
        self, keys: RouteKeys, live: LivePolicy, authenticator: Authenticator, refusals: Refusals, log: DecisionLog
    ) -> None:
        """Start to let in whom the policy lets in."""
        self._inside = _Inside(keys, live, authenticator, refusals, log)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Let one request through to its handler, or answer it."""
        started = perf_counter_ns()
        inside = self._inside
        if inside is None:
            raise RuntimeError("the door was never opened")
        raw_path = scope.get("raw_path")
        if raw_path is None or (fault := path_fault(raw_path)):
            await refusal(400, fault if raw_path else "The server gave no raw path.").send(scope, receive, send)
            return
        resource, action = inside.keys.key(scope)
        try:
            principal = await inside.authenticator.authenticate(scope["headers"])
        except Unauthenticated as failed:
            unverified = Unverified(failed.fault.value, inside.live.active.revision)
            inside.log.note(_NAME, resource, action, None, unverified, started=started)
            await inside.refusals.unauthenticated[failed.fault].send(scope, receive, send)
            return
        except CannotVerify as failed:
            unverified = Unverified(failed.detail, inside.live.active.revision)
            inside.log.note(_NAME, resource, action, None, unverified, started=started)
            await unavailable(failed).send(scope, receive, send)
            return
        snapshot = inside.live.active
        context = (
            request_context(scope, principal, snapshot, resource, action) if snapshot.has_conditions else NO_CONTEXT
        )
        decision = snapshot.decide(principal.held, resource, action, context)
        inside.log.note(_NAME, resource, action, principal, decision, started=started)
        if not decision:
            if principal.method == "anonymous":
                await inside.refusals.unauthenticated[Fault.NOT_PROVIDED].send(scope, receive, send)
            else:
                await inside.refusals.forbidden(decision.missing).send(scope, receive, send)
            return
        scope["user"] = principal
        scope["auth"] = decision
        await next_app(scope, receive, send)

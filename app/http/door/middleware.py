"""The door of the application: enforces the policy on every matched route before anything else sees the request.

Litestar has already matched the route; 404 and 405 are the same for everyone and never come here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from typing import Any, Protocol

from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.gateway.canonical import path_fault
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import Budgets
from app.http.door.direct import answer as direct
from app.http.door.direct import is_direct
from app.http.door.enforcement import ContextOf, Enforcement, Entrance
from app.http.door.pace import Pace
from app.http.door.refusal import Refusal, Refusals, refusal, unavailable
from app.http.door.request_context import request_context
from app.http.door.route_table import RouteKeys
from app.http.wire.litestar_private import without_exception_layer
from app.identity.authenticate import Authenticator
from app.identity.principal import Principal
from app.policy.engine.decision import Decision
from app.policy.engine.live import LivePolicy


class Answer(Protocol):
    """What is sent instead of the answer of a handler."""

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""


class ApiEntrance:
    """The entrance of the API: one header, and the contract's JSON."""

    name = "app"

    def __init__(self, authenticator: Authenticator, refusals: Refusals) -> None:
        self.cached = authenticator.cached
        self.verify = authenticator.verify
        self.unauthenticated = refusals.unauthenticated.__getitem__
        self.unavailable = unavailable
        self._refusals = refusals

    def forbidden(self, decision: Decision) -> Refusal:
        """The 403, which names the grants that are missing."""
        return self._refusals.forbidden(decision.missing)


@dataclass(frozen=True, slots=True)
class _DoorState:
    keys: RouteKeys
    enforcement: Enforcement
    api: Entrance[Any, Answer]
    entrances: Mapping[str, Entrance[Any, Answer]]
    context: ContextOf
    beyond_budget: Callable[[Scope], Answer | None]
    pace: Pace

    def enforce(self, scope: Scope, started: int) -> Awaitable[Answer | None]:
        """None when a request may go on to its handler; else the answer."""
        resource, action = self.keys.key(scope)
        return self.enforcement.enforce(
            self.entrances.get(resource, self.api),
            scope,
            resource,
            action,
            context=self.context,
            beyond_budget=self.beyond_budget,
            started=started,
        )


class Door:
    """A middleware, shut until `open` gives it a policy and a way to know callers."""

    def __init__(self) -> None:
        self._inside: _DoorState | None = None

    def open(
        self,
        keys: RouteKeys,
        live: LivePolicy,
        log: DecisionLog,
        api: Entrance[Any, Answer],
        entrances: Mapping[str, Entrance[Any, Answer]],
        *,
        proxies: TrustedProxies,
        budgets: Budgets,
        pace: Pace,
    ) -> None:
        """Start to let in whom the policy lets in, by `api` or by the entrance that a template has of its own."""
        context = partial(request_context, proxies=proxies)
        enforcement = Enforcement(live, log)
        self._inside = _DoorState(keys, enforcement, api, entrances, context, budgets.note_bad_credentials, pace)

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """The handler of a route, behind the door."""
        # Litestar puts a layer around the handler for middleware that changes what is sent. This one changes nothing,
        # and what the handler raises is answered alike by the layer around all.
        handler = without_exception_layer(app)

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            started = perf_counter_ns()
            inside = self._inside
            if inside is None:
                raise RuntimeError("the door was never opened")
            answer: Answer | None = _ambiguous(scope.get("raw_path"))
            if answer is None:
                answer = await inside.enforce(scope, started)
            if answer is not None:
                caller: Principal | None = scope.get("user")
                if caller is None or caller.method == "anonymous":
                    await inside.pace.wait()
                await answer.send(scope, receive, send)
            elif is_direct(scope["route_handler"]):
                await direct(scope["route_handler"], scope, receive, send)
            else:
                await handler(scope, receive, send)

        return guarded


def _ambiguous(raw_path: bytes | None) -> Answer | None:
    """The refusal of a path that two programs could read differently, or that is unknown."""
    if not raw_path:
        return refusal(400, "The server gave no raw path.")
    fault = path_fault(raw_path)
    return refusal(400, fault) if fault else None

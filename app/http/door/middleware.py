"""The middleware that enforces the policy on every matched route, before any other middleware.

Litestar has already matched the route; responses 404 and 405 are the same for all callers and do not pass through here.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns
from types import MappingProxyType
from typing import Any, Protocol

from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.db.connection_turns import Caller, caller_of_request
from app.gateway.canonical import path_fault
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import DELAY_SECONDS, Budgets, DelayedRefusal
from app.http.door.direct import call_direct, is_direct
from app.http.door.enforcement import Enforcement, Entrance, Gate
from app.http.door.refusal import Refusal, Refusals, refusal, unavailable
from app.http.door.refusal_throttle import RefusalThrottle
from app.http.door.request_context import request_context
from app.http.door.route_table import RouteKeys
from app.http.wire.litestar_private import without_exception_layer
from app.identity.authenticate import Authenticator
from app.identity.budget import peer_of
from app.identity.principal import Principal
from app.oauth.resource import covers
from app.policy.engine.decision import Decision
from app.policy.engine.live import LivePolicy


class Answer(Protocol):
    """A response that is sent instead of calling the handler."""

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the response."""


class ApiEntrance:
    """The entrance of the API: a bearer token in the header, and JSON refusals."""

    name = "app"

    def __init__(self, authenticator: Authenticator, refusals: Refusals) -> None:
        self.cached = authenticator.cached
        self.verify = authenticator.verify
        self.unauthenticated = refusals.unauthenticated.__getitem__
        self.unavailable = unavailable
        self._refusals = refusals

    def forbidden(self, decision: Decision) -> Refusal:
        """The 403, with the missing grants that the caller may ask for."""
        return self._refusals.forbidden(decision.scope)


@dataclass(frozen=True, slots=True)
class _DoorState:
    """`gates` are those of route templates that do not use `gate`."""

    keys: RouteKeys
    enforcement: Enforcement
    gate: Gate[Answer]
    gates: Mapping[str, Gate[Answer]]
    throttle: RefusalThrottle
    budgets: Budgets

    def caller_of(self, requests: list[Scope]) -> Caller:
        """Who has the turns of a request to use the database: its caller, or its address if it has no known caller."""
        if not requests:
            return "address", ""
        (scope,) = requests
        user: Principal | None = scope.get("user")
        if user is None or user.method == "anonymous":
            return "address", peer_of(self.budgets.address_of(scope) or "")
        return "subject", user.subject


class Door:
    """The enforcing middleware. It raises for every request until `open` has been called."""

    def __init__(self) -> None:
        self._state: _DoorState | None = None

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
        throttle: RefusalThrottle,
        public_url: str | None = None,
        too_many_at: Mapping[str, Callable[[int], Refusal]] = MappingProxyType({}),
    ) -> None:
        """Start to enforce the policy. `entrances` are those of route templates that do not use `api`.

        `public_url` is the address to which the tokens of apps are bound; without one none is accepted. `too_many_at`
        makes the 429 of route templates where it differs from that of the API, from the seconds to wait.
        """
        context = partial(request_context, proxies=proxies)
        enforcement = Enforcement(live, log)

        def is_covered(resource: str, scope: Scope) -> bool:
            return covers(resource, public_url, scope["path"])

        count = budgets.count_bad_credentials

        def counted(template: str) -> Callable[[Scope], Answer | None]:
            return partial(count, refuse=too_many_at[template]) if template in too_many_at else count

        self._state = _DoorState(
            keys,
            enforcement,
            Gate(api, context, count, is_covered),
            {
                template: Gate(entrance, context, counted(template), is_covered)
                for template, entrance in entrances.items()
            },
            throttle,
            budgets,
        )

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """Wrap the handler of a route."""
        # Litestar wraps each handler in an exception layer, for middleware that changes responses. This one does not,
        # and the layer around the application handles exceptions in the same way.
        handler = without_exception_layer(app)

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            started = perf_counter_ns()
            state = self._state
            if state is None:
                raise RuntimeError("the door was never opened")
            # Emptied at the end: timers of the server keep the context in which they were started, for 75 seconds.
            requests = [scope]
            caller_of_request.set(partial(state.caller_of, requests))
            try:
                raw_path: bytes | None = scope.get("raw_path")
                answer: Answer | Coroutine[Any, Any, Answer | None] | None
                if raw_path and path_fault(raw_path) is None:
                    key = state.keys.key(scope)
                    gate = state.gates.get(key[0], state.gate)
                    answer = state.enforcement.enforce(gate, scope, key, started)
                    if answer is not None and isinstance(answer, Coroutine):
                        answer = await answer
                else:
                    answer = _ambiguous_path(raw_path)
                if answer is not None:
                    caller: Principal | None = scope.get("user")
                    if isinstance(answer, DelayedRefusal):
                        await state.throttle.wait(DELAY_SECONDS)
                    elif caller is None or caller.method == "anonymous":
                        await state.throttle.wait()
                    await answer.send(scope, receive, send)
                elif scope.get("method") == "OPTIONS" and (options := state.keys.options.get(scope["path_template"])):
                    await options.send(scope, receive, send)
                elif is_direct(scope["route_handler"]):
                    await call_direct(scope["route_handler"], scope, receive, send)
                else:
                    await handler(scope, receive, send)
            finally:
                requests.clear()

        return guarded


def _ambiguous_path(raw_path: bytes | None) -> Answer:
    """The refusal of a path that is missing, or that two programs could read differently."""
    return refusal(400, (path_fault(raw_path) if raw_path else None) or "The server gave no raw path.")

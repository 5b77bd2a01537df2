"""The door: authenticates and decides for every matched route before anything else sees the request.

The PEP, in the terms of XACML and AuthZEN. Litestar has already matched the route; 404 and 405 are the same
for everyone and never come here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

from litestar.middleware._internal.exceptions import ExceptionHandlerMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.gateway.canonical import path_fault
from app.gateway.proxies import TrustedProxies
from app.http.door.budgets import Budgets
from app.http.door.direct import answer as direct
from app.http.door.direct import is_direct
from app.http.door.pace import Pace
from app.http.door.refusal import Refusals, refusal, unavailable
from app.http.door.request_context import request_context
from app.http.door.route_table import RouteKeys
from app.identity.authenticate import Authenticator
from app.identity.errors import AuthenticationFault, CannotVerify, Unauthenticated
from app.identity.principal import Principal
from app.policy.engine.live import LivePolicy
from app.policy.engine.suspended import CannotDecide
from app.policy.language.when.condition import NO_CONTEXT


class Answer(Protocol):
    """What is sent instead of what was asked for."""

    async def send(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""


class Entrance(Protocol):
    """How one kind of caller comes in: the credentials that are looked at, and how a refusal reads."""

    @property
    def name(self) -> str:
        """Of this door, in the decision log."""

    def at_once(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | None:
        """Who is calling, where nothing has to be waited for. Raises Unauthenticated."""

    async def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal:
        """Who is calling. Raises Unauthenticated and CannotVerify."""

    def unauthenticated(self, fault: AuthenticationFault) -> Answer:
        """The refusal of a stranger, or of bad credentials."""

    def forbidden(self, missing: tuple[str, ...]) -> Answer:
        """The refusal of a caller who lacks these grants."""

    def unavailable(self, fault: CannotVerify | CannotDecide) -> Answer:
        """The answer while the caller or the policy cannot be known."""


class ApiEntrance:
    """The entrance of the API: one header, and the contract's JSON."""

    name = "app"

    def __init__(self, authenticator: Authenticator, refusals: Refusals) -> None:
        self.at_once = authenticator.at_once
        self.authenticate = authenticator.authenticate
        self.unauthenticated = refusals.unauthenticated.__getitem__
        self.forbidden = refusals.forbidden
        self.unavailable = unavailable


@dataclass(frozen=True, slots=True)
class _DoorState:
    keys: RouteKeys
    live: LivePolicy
    log: DecisionLog
    api: Entrance
    entrances: Mapping[str, Entrance]
    proxies: TrustedProxies
    budgets: Budgets
    pace: Pace

    def decide(
        self, scope: Scope, entrance: Entrance, principal: Principal, asked: tuple[str, str], started: int
    ) -> Answer | None:
        """None when one request may go on to its handler, which then knows why. Raises CannotDecide."""
        snapshot = self.live.active
        resource, action = asked
        context = (
            request_context(scope, principal, snapshot, resource, action, proxies=self.proxies)
            if snapshot.has_conditions
            else NO_CONTEXT
        )
        decision = snapshot.decide(principal.held, resource, action, context)
        self.log.note(entrance.name, resource, action, principal, decision, started=started)
        scope["user"] = principal  # of a refusal too, for the access log
        if decision:
            scope["auth"] = decision
            return None
        if principal.method == "anonymous":
            return entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED)
        return entrance.forbidden(decision.missing)

    def undecided(
        self,
        scope: Scope,
        failed: Unauthenticated | CannotVerify | CannotDecide,
        entrance: Entrance,
        asked: tuple[str, str],
        started: int,
    ) -> Answer:
        """The answer when the caller or the policy cannot be known."""
        if isinstance(failed, Unauthenticated) and (beyond := self.budgets.note_bad_credentials(scope)):
            # Not in the decision log, where a flood of them would take the place of other records.
            return beyond
        reason = failed.reason if isinstance(failed, Unauthenticated) else failed.detail
        unverified = Unverified(reason, self.live.active.revision)
        self.log.note(entrance.name, *asked, None, unverified, started=started)
        if isinstance(failed, Unauthenticated):
            return entrance.unauthenticated(failed.fault)
        return entrance.unavailable(failed)


class Door:
    """A middleware, shut until `open` gives it a policy and a way to know callers."""

    def __init__(self) -> None:
        self._inside: _DoorState | None = None

    def open(
        self,
        keys: RouteKeys,
        live: LivePolicy,
        log: DecisionLog,
        api: Entrance,
        entrances: Mapping[str, Entrance],
        *,
        proxies: TrustedProxies,
        budgets: Budgets,
        pace: Pace,
    ) -> None:
        """Start to let in whom the policy lets in, by `api` or by the entrance that a template has of its own."""
        self._inside = _DoorState(keys, live, log, api, entrances, proxies, budgets, pace)

    def __call__(self, app: ASGIApp) -> ASGIApp:
        """The handler of a route, behind the door."""
        # Litestar puts a layer around the handler for middleware that changes what is sent. This one changes nothing,
        # and what the handler raises is answered alike by the layer around all.
        handler = app.app if isinstance(app, ExceptionHandlerMiddleware) else app

        async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
            started = perf_counter_ns()
            inside = self._inside
            if inside is None:
                raise RuntimeError("the door was never opened")
            answer: Answer | None = _ambiguous(scope.get("raw_path"))
            if answer is None:
                asked = inside.keys.key(scope)
                entrance = inside.entrances.get(asked[0], inside.api)
                headers = scope["headers"]
                try:
                    # What is known already takes no coroutine of its own.
                    principal = entrance.at_once(headers) or await entrance.authenticate(headers)
                    answer = inside.decide(scope, entrance, principal, asked, started)
                except (Unauthenticated, CannotVerify, CannotDecide) as failed:
                    answer = inside.undecided(scope, failed, entrance, asked, started)
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

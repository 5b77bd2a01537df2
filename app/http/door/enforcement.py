"""Enforcement of the policy, the same at every door: authentication, decision, decision log, refusal.

This is the policy enforcement point (PEP) of XACML and AuthZEN.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from typing import Any, Generic, Protocol, TypeVar

from litestar.types import Scope

from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.identity.errors import AuthenticationFault, CannotVerify, Cause, Unauthenticated
from app.identity.principal import Principal
from app.policy.engine.decision import Decision
from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.engine.suspended import CannotDecide
from app.policy.language.reason import Reason
from app.policy.language.when.condition import NO_CONTEXT, Context

_Credential = TypeVar("_Credential")
_Answer = TypeVar("_Answer")
_Answer_co = TypeVar("_Answer_co", covariant=True)
RouteKey = tuple[str, str]  # a resource and an action
Covers = Callable[[str, Scope], bool]  # whether a token for a resource (RFC 8707) is for this request
ContextOf = Callable[[Scope, Principal, Snapshot, str, str], Context]  # of a resource and an action


class Entrance(Protocol[_Credential, _Answer_co]):
    """A kind of door: how it authenticates a request, and the responses with which it refuses one."""

    @property
    def name(self) -> str:
        """The name of the door in the decision log."""

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | _Credential:
        """The principal if it is in a cache, else the credential for `verify`. Raises Unauthenticated."""

    async def verify(self, credential: _Credential, /) -> Principal:
        """The principal of a credential. Raises Unauthenticated and CannotVerify."""

    def unauthenticated(self, fault: AuthenticationFault, /) -> _Answer_co:
        """The refusal of a caller without credentials, or with bad ones."""

    def forbidden(self, decision: Decision, /) -> _Answer_co:
        """The refusal of a caller whom the policy denies."""

    def unavailable(self, fault: CannotVerify | CannotDecide, /) -> _Answer_co:
        """The refusal while the credentials cannot be verified or the policy is suspended."""


def decide(
    snapshot: Snapshot,
    log: DecisionLog | None,
    *,
    door: str,
    held: frozenset[str],
    principal: Principal,
    resource: str,
    action: str,
    context: Context,
    started: int,
) -> Decision:
    """Decide whether a caller with these grants may, and write the decision to the log with its `principal`.

    Raises CannotDecide, which is not logged.
    """
    decision = snapshot.decide(held, resource, action, context)
    if log is not None:
        log.note(door, resource, action, principal, decision, started=started)
    return decision


@dataclass(frozen=True, slots=True)
class Gate(Generic[_Answer]):
    """What a door does with the requests for a route, or for all of them.

    `context` is called only if a row about the resource has a condition and no decision is cached. `count_failure`
    counts bad credentials, and returns the refusal if there were too many. `covers` is called for a token that is bound
    to a resource. `snapshot` is the policy in which the resource was looked up, if Litestar's router did not match it;
    `unmatched` is the reason to log if the request matches no route.
    """

    entrance: Entrance[Any, _Answer]
    context: ContextOf
    count_failure: Callable[[Scope], _Answer | None]
    covers: Covers
    snapshot: Snapshot | None = None
    unmatched: Reason | None = None


class Enforcement:
    """Enforces the active policy, and logs its decisions."""

    __slots__ = ("_live", "_log")

    def __init__(self, live: LivePolicy, log: DecisionLog) -> None:
        self._live = live
        self._log = log

    def enforce(
        self, gate: Gate[_Answer], scope: Scope, key: RouteKey, started: int
    ) -> _Answer | Coroutine[Any, Any, _Answer | None] | None:
        """Authenticate and authorize a request with this key. Returns the refusal, or None if the request is allowed.

        If that needs to wait, it returns a coroutine which does: most callers are in a cache, and a coroutine for each
        request takes longer than the decision. Sets `user` in the scope, and `auth` to the decision if it allows.
        """
        try:
            principal = gate.entrance.cached(scope["headers"])
            if isinstance(principal, Principal):
                return self._decide(gate, principal, scope, key, started)
        except (Unauthenticated, CannotVerify, CannotDecide) as error:
            return self._refuse(gate, error, scope, key, started)
        return self._verify(gate, principal, scope, key, started)

    async def _verify(
        self, gate: Gate[_Answer], credential: object, scope: Scope, key: RouteKey, started: int
    ) -> _Answer | None:
        try:
            principal = await gate.entrance.verify(credential)
            answer = self._decide(gate, principal, scope, key, started)
        except (Unauthenticated, CannotVerify, CannotDecide) as error:
            return self._refuse(gate, error, scope, key, started)
        return await answer if isinstance(answer, Coroutine) else answer

    def _decide(
        self, gate: Gate[_Answer], principal: Principal, scope: Scope, key: RouteKey, started: int
    ) -> _Answer | Coroutine[Any, Any, _Answer | None] | None:
        if principal.resource is not None and not gate.covers(principal.resource, scope):
            raise Unauthenticated(Cause.ANOTHER_RESOURCE)
        scope["user"] = principal  # for the access log of refused requests as well
        resource, action = key
        policy = self._live.active if gate.snapshot is None else gate.snapshot
        decision = policy.recall(principal.held, resource, action)
        if decision is None:
            context = NO_CONTEXT
            if policy.is_conditional(resource, action):
                context = gate.context(scope, principal, policy, resource, action)
            decision = policy.decide(principal.held, resource, action, context)
        if gate.unmatched is not None:
            decision = replace(decision, reason=gate.unmatched)
        log = self._log
        log.note(gate.entrance.name, resource, action, principal, decision, started=started)
        answer: _Answer | None = None
        if decision.allowed:
            scope["auth"] = decision
        elif principal.method == "anonymous":  # reveals nothing about the resource to a caller without credentials
            answer = gate.entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED)
        else:
            answer = gate.entrance.forbidden(decision)
        if log.throttle.is_crowded and principal.method != "anonymous":
            return self._delay(answer)
        return answer

    async def _delay(self, answer: _Answer | None) -> _Answer | None:
        await self._log.throttle.wait()
        return answer

    def _refuse(
        self,
        gate: Gate[_Answer],
        error: Unauthenticated | CannotVerify | CannotDecide,
        scope: Scope,
        key: RouteKey,
        started: int,
    ) -> _Answer:
        if isinstance(error, Unauthenticated):
            # Not logged beyond the budget: a flood would displace other records in the decision log.
            if (refused := gate.count_failure(scope)) is not None:
                return refused
            reason, answer = error.reason, gate.entrance.unauthenticated(error.fault)
        else:
            reason, answer = error.detail, gate.entrance.unavailable(error)
        revision = (self._live.active if gate.snapshot is None else gate.snapshot).revision
        self._log.note(gate.entrance.name, *key, None, Unverified(reason, revision), started=started)
        return answer

"""Enforcement of the policy, the same at every door: authentication, decision, decision log, refusal.

This is the policy enforcement point (PEP) of XACML and AuthZEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

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
    principal: Principal,
    resource: str,
    action: str,
    context: Context,
    started: int,
    unmatched: Reason | None = None,
) -> Decision:
    """Decide, and write the decision to the log.

    `unmatched` is the reason to log if the request matches no route. Raises CannotDecide, which is not logged.
    """
    decision = snapshot.decide(principal.held, resource, action, context)
    if unmatched is not None:
        decision = replace(decision, reason=unmatched)
    if log is not None:
        log.note(door, resource, action, principal, decision, started=started)
    return decision


class Enforcement:
    """Enforces the active policy, and logs its decisions."""

    __slots__ = ("_live", "_log")

    def __init__(self, live: LivePolicy, log: DecisionLog) -> None:
        self._live = live
        self._log = log

    async def enforce(
        self,
        entrance: Entrance[Any, _Answer],
        scope: Scope,
        resource: str,
        action: str,
        *,
        context: ContextOf,
        count_failure: Callable[[Scope], _Answer | None],
        covers: Covers,
        started: int,
        snapshot: Snapshot | None = None,
        unmatched: Reason | None = None,
    ) -> _Answer | None:
        """Authenticate and authorize a request. Returns the refusal, or None if the request is allowed.

        Sets `user` in the scope, and `auth` to the decision if it allows. `context` is called only if a row about the
        resource has a condition. `count_failure` counts bad credentials, and returns the refusal if there were too
        many. `covers` is called for a token that is bound to a resource. `snapshot` is the policy in which `resource`
        was looked up, if Litestar's router did not match it; `unmatched` is as in `decide`.
        """
        try:
            result = entrance.cached(scope["headers"])
            principal = result if isinstance(result, Principal) else await entrance.verify(result)
            if principal.resource is not None and not covers(principal.resource, scope):
                raise Unauthenticated(Cause.ANOTHER_RESOURCE)
            scope["user"] = principal  # for the access log of refused requests as well
            policy = self._live.active if snapshot is None else snapshot
            decision = decide(
                policy,
                self._log,
                door=entrance.name,
                principal=principal,
                resource=resource,
                action=action,
                context=context(scope, principal, policy, resource, action)
                if policy.is_conditional(resource, action)
                else NO_CONTEXT,
                started=started,
                unmatched=unmatched,
            )
        except Unauthenticated as error:
            # Not logged beyond the budget: a flood would displace other records in the decision log.
            if (answer := count_failure(scope)) is not None:
                return answer
            reason, answer = error.reason, entrance.unauthenticated(error.fault)
        except (CannotVerify, CannotDecide) as error:
            reason, answer = error.detail, entrance.unavailable(error)
        else:
            if (throttle := self._log.throttle).is_crowded and principal.method != "anonymous":
                await throttle.wait()
            if decision:
                scope["auth"] = decision
                return None
            if principal.method == "anonymous":  # reveals nothing about the resource to a caller without credentials
                return entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED)
            return entrance.forbidden(decision)
        revision = (self._live.active if snapshot is None else snapshot).revision
        self._log.note(entrance.name, resource, action, None, Unverified(reason, revision), started=started)
        return answer

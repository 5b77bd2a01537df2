"""The enforcement of the policy, the same at every door: caller, decision, decision log, refusal.

The PEP, in the terms of XACML and AuthZEN.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any, Protocol, TypeVar

from litestar.types import Scope

from app.audit.log import DecisionLog
from app.audit.record import Unverified
from app.identity.errors import AuthenticationFault, CannotVerify, Unauthenticated
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
ContextOf = Callable[[Scope, Principal, Snapshot, str, str], Context]  # of a resource and an action


class Entrance(Protocol[_Credential, _Answer_co]):
    """One kind of door: the credentials that count there, and how a refusal reads."""

    @property
    def name(self) -> str:
        """The name of the door in the decision log."""

    def cached(self, headers: Iterable[tuple[bytes, bytes]]) -> Principal | _Credential:
        """The caller where it is known without waiting, else the credential to verify. Raises Unauthenticated."""

    async def verify(self, credential: _Credential, /) -> Principal:
        """The caller with a credential. Raises Unauthenticated and CannotVerify."""

    def unauthenticated(self, fault: AuthenticationFault, /) -> _Answer_co:
        """The refusal of a caller without credentials, or with bad ones."""

    def forbidden(self, decision: Decision, /) -> _Answer_co:
        """The refusal of a caller whom the policy denies."""

    def unavailable(self, fault: CannotVerify | CannotDecide, /) -> _Answer_co:
        """The answer while the caller or the policy cannot be known."""


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
    """Decide, and note the decision in the log.

    `unmatched` is the reason to give where `resource` is none that a rule could name. Raises CannotDecide, unlogged.
    """
    decision = snapshot.decide(principal.held, resource, action, context)
    if unmatched is not None:
        decision = replace(decision, reason=unmatched)
    if log is not None:
        log.note(door, resource, action, principal, decision, started=started)
    return decision


class Enforcement:
    """Enforces the active policy, and logs what it decides."""

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
        beyond_budget: Callable[[Scope], _Answer | None],
        started: int,
        snapshot: Snapshot | None = None,
        unmatched: Reason | None = None,
    ) -> _Answer | None:
        """None when a request is allowed: `scope` then has its `user` and, as `auth`, the decision. Else the answer.

        `context` is called where the policy has conditions. `beyond_budget` counts bad credentials, and is the answer
        where they are too many. `snapshot` is the policy that `resource` was found in, where the router did not find
        it; `unmatched` is as for `decide`.
        """
        try:
            found = entrance.cached(scope["headers"])
            principal = found if isinstance(found, Principal) else await entrance.verify(found)
            scope["user"] = principal  # of a refusal too, for the access log
            policy = self._live.active if snapshot is None else snapshot
            decision = decide(
                policy,
                self._log,
                door=entrance.name,
                principal=principal,
                resource=resource,
                action=action,
                context=context(scope, principal, policy, resource, action) if policy.has_conditions else NO_CONTEXT,
                started=started,
                unmatched=unmatched,
            )
        except Unauthenticated as failed:
            # Beyond the budget not in the decision log, where a flood would displace other records.
            if (answer := beyond_budget(scope)) is not None:
                return answer
            reason, answer = failed.reason, entrance.unauthenticated(failed.fault)
        except (CannotVerify, CannotDecide) as failed:
            reason, answer = failed.detail, entrance.unavailable(failed)
        else:
            if decision:
                scope["auth"] = decision
                return None
            if principal.method == "anonymous":  # which resources exist is not for a caller without credentials
                return entrance.unauthenticated(AuthenticationFault.NOT_PROVIDED)
            return entrance.forbidden(decision)
        revision = (self._live.active if snapshot is None else snapshot).revision
        self._log.note(entrance.name, resource, action, None, Unverified(reason, revision), started=started)
        return answer

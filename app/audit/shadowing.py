"""The shadow policy: requests append decisions to a bounded queue, and a background task compares them.

An append neither fails nor waits. All state is in the memory of this process.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import TracebackType
from typing import Self

import structlog

from app.audit.periodic_task import PeriodicTask
from app.audit.record import MAX_TEXT, NOT_STORED, Unverified
from app.audit.sanitize import clean
from app.identity.principal import Principal
from app.policy.analysis.shadow import Shadow, ShadowCaller, ShadowDifference, ShadowKey
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot

CAPACITY = 20_000  # queued decisions
EVERY_SECONDS = 0.5
_MAX_QUEUED = 2 * MAX_TEXT  # characters of a resource and an action
_SLICE_SIZE = 50  # decisions that are compared before the event loop runs other tasks
_QueuedComparison = tuple[str, str, Principal, Decision]
_log = structlog.stdlib.get_logger("shadow")


@dataclass(slots=True)
class DeployedShadow:
    """A shadow with its queue. `dropped` decisions found the queue full, `failed` ones could not be compared."""

    shadow: Shadow
    message: str
    author: str
    since: datetime
    dropped: int = 0
    failed: int = 0
    waiting: deque[_QueuedComparison] = field(default_factory=deque)

    def compare(self) -> None:
        """Compare the oldest queued decision. Never raises: errors are counted, and the first is logged."""
        resource, action, principal, decision = self.waiting.popleft()
        try:
            caller = ShadowCaller(clean(principal.subject, MAX_TEXT), principal.key_id, principal.client_id)
            key = ShadowKey(caller, clean(action, MAX_TEXT), clean(resource, MAX_TEXT), decision.allowed)
            first = self.shadow.compare(principal.held, resource, action, key, datetime.now(UTC))
        except Exception:  # noqa: BLE001  # no error may end the task
            self.failed += 1
            if self.failed == 1:
                _log.exception("a decision could not be compared with that of the shadow")
            return
        if first is not None:
            _log_difference(first)


class NoShadow(Exception):
    """No policy is in shadow."""


class Shadowing:
    """The deployed shadow policy, if any. An asynchronous context manager, within which decisions are compared."""

    def __init__(self, *, capacity: int = CAPACITY, every_seconds: float = EVERY_SECONDS) -> None:
        self._capacity = capacity
        self._task = PeriodicTask("shadow", self._drain, every_seconds=every_seconds)
        self.deployed: DeployedShadow | None = None
        self.one_at_a_time = asyncio.Lock()  # held while a shadow is deployed or withdrawn and that is stored

    def current(self) -> DeployedShadow:
        """The policy in shadow. Raises NoShadow."""
        if self.deployed is None:
            raise NoShadow("No policy is in shadow.")
        return self.deployed

    def deploy(self, snapshot: Snapshot, *, message: str, author: str) -> DeployedShadow:
        """Compare with this policy from now on; the results of a previous one are discarded."""
        self.deployed = DeployedShadow(Shadow(snapshot), message, author, datetime.now(UTC))
        _log.info("policy deployed in shadow", revision=snapshot.revision, author=author)
        return self.deployed

    def withdraw(self) -> None:
        """Stop comparing, and discard the results."""
        if self.deployed is not None:
            shadow = self.deployed.shadow
            _log.info("shadow withdrawn", revision=shadow.snapshot.revision, differing=shadow.differing)
        self.deployed = None

    def note(self, resource: str, action: str, principal: Principal | None, outcome: Decision | Unverified) -> None:
        """Append a decision of the active policy to the queue; never raises, never waits."""
        deployed = self.deployed
        if deployed is None or principal is None or isinstance(outcome, Unverified):
            return
        is_long = len(resource) + len(action) > _MAX_QUEUED or principal.held == NOT_STORED
        if is_long or len(deployed.waiting) >= self._capacity:
            deployed.dropped += 1
        else:
            deployed.waiting.append((resource, action, principal, outcome))

    async def __aenter__(self) -> Self:
        self._task.start()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._task.stop()

    async def _drain(self) -> None:
        while (deployed := self.deployed) is not None and deployed.waiting and not self._task.is_stopping:
            for _ in range(min(len(deployed.waiting), _SLICE_SIZE)):
                deployed.compare()
            await asyncio.sleep(0)


def _log_difference(first: ShadowDifference) -> None:
    key, decision = first.key, first.decision
    _log.warning(
        "the shadow would decide differently",
        subject=key.who.subject,
        key_id=key.who.key_id,
        client_id=key.who.client_id,
        action=key.action,
        route=key.resource,
        active="allow" if key.allowed else "deny",
        shadow="allow" if decision else "deny",
        rule=decision.rule and decision.rule.place,
        missing=list(decision.missing),
        revision=decision.revision,
    )

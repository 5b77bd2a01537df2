"""The policy in shadow, fed beside the requests: decisions are noted on their path, and compared off it.

Noting is an append to a bounded queue and cannot fail. All that happens here is in the memory of this process.
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
from app.audit.record import MAX_TEXT, Unverified
from app.audit.sanitize import clean
from app.identity.principal import Principal
from app.policy.analysis.shadow import Shadow, ShadowCaller, ShadowDifference, ShadowKey
from app.policy.engine.decision import Decision
from app.policy.engine.snapshot import Snapshot

CAPACITY = 20_000  # decisions that wait to be compared
EVERY_SECONDS = 0.5
_AT_ONCE = 50  # decisions, before requests have their turn again
_Noted = tuple[str, str, Principal, Decision]
_log = structlog.stdlib.get_logger("shadow")


@dataclass(slots=True)
class DeployedShadow:
    """A shadow and how it fares. `dropped` decisions found the queue full, `failed` ones could not be compared."""

    shadow: Shadow
    message: str
    author: str
    since: datetime
    dropped: int = 0
    failed: int = 0
    waiting: deque[_Noted] = field(default_factory=deque)

    def compare(self) -> None:
        """Compare the decision that waits longest. Never raises: a defect here is counted, and logged once."""
        resource, action, principal, decision = self.waiting.popleft()
        try:
            who = ShadowCaller(clean(principal.subject, MAX_TEXT), principal.key_id)
            asked = ShadowKey(who, clean(action, MAX_TEXT), clean(resource, MAX_TEXT), decision.allowed)
            first = self.shadow.compare(principal.held, resource, action, asked, datetime.now(UTC))
        except Exception:  # noqa: BLE001  # whatever it was, it must not end the comparing
            self.failed += 1
            if self.failed == 1:
                _log.exception("a decision could not be compared with the shadow's")
            return
        if first is not None:
            _tell(first)


class Shadowing:
    """Holds the policy in shadow, if there is one. `async with` it to have decisions compared."""

    def __init__(self, *, capacity: int = CAPACITY, every_seconds: float = EVERY_SECONDS) -> None:
        self._capacity = capacity
        self._rounds = PeriodicTask("shadow", self._drain, every_seconds=every_seconds)
        self.deployed: DeployedShadow | None = None
        self.one_at_a_time = asyncio.Lock()  # for who deploys or withdraws, and stores that it was done

    def deploy(self, snapshot: Snapshot, *, message: str, author: str) -> DeployedShadow:
        """Compare with this policy from now on. What another one was compared with is forgotten."""
        self.deployed = DeployedShadow(Shadow(snapshot), message, author, datetime.now(UTC))
        _log.info("policy deployed in shadow", revision=snapshot.revision, author=author)
        return self.deployed

    def withdraw(self) -> None:
        """Compare no more, and forget what was compared."""
        if self.deployed is not None:
            shadow = self.deployed.shadow
            _log.info("shadow withdrawn", revision=shadow.snapshot.revision, differing=shadow.differing)
        self.deployed = None

    def note(self, resource: str, action: str, principal: Principal | None, outcome: Decision | Unverified) -> None:
        """Note what the active policy decided; never raises, never waits."""
        deployed = self.deployed
        if deployed is None or principal is None or isinstance(outcome, Unverified):
            return
        if len(deployed.waiting) >= self._capacity:
            deployed.dropped += 1
        else:
            deployed.waiting.append((resource, action, principal, outcome))

    async def __aenter__(self) -> Self:
        self._rounds.begin()
        return self

    async def __aexit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        await self._rounds.end()

    async def _drain(self) -> None:
        while (deployed := self.deployed) is not None and deployed.waiting and not self._rounds.over:
            for _ in range(min(len(deployed.waiting), _AT_ONCE)):
                deployed.compare()
            await asyncio.sleep(0)


def _tell(first: ShadowDifference) -> None:
    asked, decision = first.key, first.decision
    _log.warning(
        "the shadow would decide differently",
        subject=asked.who.subject,
        key_id=asked.who.key_id,
        action=asked.action,
        route=asked.resource,
        active="allow" if asked.allowed else "deny",
        shadow="allow" if decision else "deny",
        rule=decision.rule and decision.rule.place,
        missing=list(decision.missing),
        revision=decision.revision,
    )

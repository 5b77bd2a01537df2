"""The active policy of a process: load → check → build → swap → announce.

A whole new snapshot is built aside and one reference is swapped, so a request that reads the reference once
sees one policy, whole. Any fault keeps the last good one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

from app.policy.aside import aside
from app.policy.check import MAX_FAULTS, check
from app.policy.diff import Change, changes
from app.policy.fault import Fault, PolicyRefused
from app.policy.judge import disputes
from app.policy.load import Policy, load
from app.policy.routes import RouteTable
from app.policy.snapshot import Snapshot

Outcome = Literal["swapped", "unchanged", "refused"]


@dataclass(frozen=True, slots=True)
class Reload:
    """What a reload did: the active revision afterwards, and what changed or what was wrong."""

    outcome: Outcome
    revision: str
    changed: tuple[Change, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class Refusal:
    """The last policy that was not taken, and when."""

    at: datetime
    faults: tuple[Fault, ...]


def build(policy: Policy, table: RouteTable) -> Snapshot:
    """Check a policy against a route table and build its snapshot. Raises PolicyRefused with every fault."""
    with aside():
        snapshot = Snapshot(policy, table)
        if faults := check(snapshot) or _disputed(snapshot):
            raise PolicyRefused(faults)
        return snapshot


def _disputed(snapshot: Snapshot) -> list[Fault]:
    return [
        Fault(
            "disputed", ".", 0, 0, f"the engine and Casbin disagree: {dispute}", "report it; this is no fault of yours"
        )
        for dispute in islice(disputes(snapshot.index), MAX_FAULTS)
    ]


class LivePolicy:
    """Holds the active snapshot. Raises PolicyRefused when the first policy is bad: there is no good one to keep."""

    def __init__(self, directory: Path, table: RouteTable) -> None:
        self.directory = directory
        self.table = table
        self.active: Snapshot = build(load(directory), table)
        self.since: datetime = datetime.now(UTC)
        self.refused: Refusal | None = None
        self.reloads: dict[Outcome, int] = {"swapped": 0, "unchanged": 0, "refused": 0}  # how many, by outcome
        self._announce: list[Callable[[Reload], None]] = []
        self._one_at_a_time = asyncio.Lock()

    def on_reload(self, listener: Callable[[Reload], None]) -> None:
        """Call `listener` after each reload that swapped or refused a policy."""
        self._announce.append(listener)

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """While the caller writes the files: no reload looks at them half done."""
        async with self._one_at_a_time:
            yield

    async def reload(self) -> Reload:
        """Take the policy that the files now hold, or say why not. Reading and building happen off the event loop.

        Raises ExceptionGroup when listeners fail; what they were told has happened all the same.
        """
        async with self._one_at_a_time:
            old = self.active
            try:
                policy = await asyncio.to_thread(load, self.directory)
                if policy.revision == old.revision:
                    self.refused = None
                    self.reloads["unchanged"] += 1
                    return Reload("unchanged", old.revision)
                snapshot = await asyncio.to_thread(build, policy, self.table)
            except PolicyRefused as refused:
                self.refused = Refusal(datetime.now(UTC), refused.faults)
                return self._tell(Reload("refused", old.revision, faults=refused.faults))
            changed = await asyncio.to_thread(changes, old.policy, policy)
            self.active, self.since, self.refused = snapshot, datetime.now(UTC), None
            return self._tell(Reload("swapped", snapshot.revision, changed=changed))

    def _tell(self, outcome: Reload) -> Reload:
        self.reloads[outcome.outcome] += 1
        failed: list[Exception] = []
        for listener in self._announce:
            try:
                listener(outcome)
            except Exception as error:  # noqa: BLE001  # one deaf listener must not keep the news from the others
                failed.append(error)
        if failed:
            raise ExceptionGroup(f"the reload was {outcome.outcome}, and listeners failed", failed)
        return outcome

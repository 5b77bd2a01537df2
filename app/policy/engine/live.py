"""The active policy of a process: load → check → build → swap → notify.

A new snapshot is built completely and then swapped in by one reference, so a request that reads the reference once
sees one consistent policy. Any fault keeps the last good policy.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Literal

import structlog

from app.policy.engine.casbin_crosscheck import VerifiedRules, mismatches
from app.policy.engine.checks import MAX_FAULTS, check
from app.policy.engine.snapshot import Snapshot, free_snapshots
from app.policy.engine.suspended import Suspended
from app.policy.gc_control import long_lived_build
from app.policy.language import write
from app.policy.language.diff import EntryChange, take_changes
from app.policy.language.directory import read
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import Policy, load, parse
from app.policy.language.source import from_bytes
from app.policy.routing.routes import RouteTable

_PATIENCE = 5.0  # seconds to wait for another process that writes the files
_LOOK_SECONDS = 0.02
_MAX_LOGGED_FILES = 20
_log = structlog.stdlib.get_logger("policy")
Outcome = Literal["swapped", "unchanged", "refused"]


@dataclass(frozen=True, slots=True)
class Reload:
    """The result of a reload: the revision active afterwards, and the changes or faults."""

    outcome: Outcome
    revision: str
    changed: tuple[EntryChange, ...] = ()
    faults: tuple[Fault, ...] = ()


@dataclass(frozen=True, slots=True)
class LoadFailure:
    """The faults of the last policy that was refused, and when."""

    at: datetime
    faults: tuple[Fault, ...]


def build(policy: Policy, table: RouteTable, verified: VerifiedRules | None = None) -> Snapshot:
    """Check a policy against a route table and build its snapshot. Raises PolicyRefused with every fault.

    Casbin is not asked again about rules that are `verified`; others are added to it.
    """
    with long_lived_build():
        snapshot = Snapshot(policy, table)
        faults = check(snapshot)
    # With the garbage collector running, since Casbin leaves reference cycles.
    if faults or (faults := _casbin_mismatches(snapshot, verified)):
        raise PolicyRefused(faults)
    return snapshot


def _casbin_mismatches(snapshot: Snapshot, verified: VerifiedRules | None) -> list[Fault]:
    return [
        Fault.of_file(
            "disputed",
            ".",
            f"the engine and Casbin disagree: {mismatch}",
            "report this as a bug; the policy is not at fault",
        )
        for mismatch in islice(mismatches(snapshot.index, verified), MAX_FAULTS)
    ]


class LivePolicy:
    """Holds the active snapshot. Raises PolicyRefused if the first policy is faulty: there is no good one to keep.

    If `files` is given, it is the first policy instead of the files of the directory, which are half written.
    `find_more` finds the faults that a policy has in this deployment alone.

    `on_disk` is the revision of the files when they were last read complete, empty if unknown. While that is not the
    active one, an edit of the files is based on an older policy and is refused. While a revision is `awaited`, because
    its policy should be active and cannot be loaded here, only files of that revision are accepted.
    """

    def __init__(
        self,
        directory: Path,
        table: RouteTable,
        files: Mapping[str, bytes] | None = None,
        find_more: Callable[[Policy], list[Fault]] = lambda _: [],
    ) -> None:
        self.directory = directory
        self.table = table
        self._find_more = find_more
        self.active: Snapshot = self._build(load(directory) if files is None else parse(from_bytes(files)))
        self._on_disk: str = self.active.revision if files is None else ""
        self.outdated: str | None = None  # the revision of files that were refused for that reason
        self._awaited: str | None = None
        self.since: datetime = datetime.now(UTC)
        self.refused: LoadFailure | None = None
        self.reloads: dict[Outcome, int] = {"swapped": 0, "unchanged": 0, "refused": 0}  # counts by outcome
        self.ignored: tuple[str, ...] = ()  # other files in the directory, as last logged
        self._suspended = False
        self._replaced: list[Snapshot] = []  # to be freed off the event loop
        self._listeners: list[Callable[[Reload], None]] = []
        self._one_at_a_time = asyncio.Lock()

    @property
    def on_disk(self) -> str:
        """The revision of the files when they were last read complete; empty if unknown."""
        return self._on_disk

    @property
    def awaited(self) -> str | None:
        """The revision that should be active and whose policy cannot be loaded here."""
        return self._awaited

    def record_files(self, revision: str) -> None:
        """Record which revision the files hold now; empty if that is unknown."""
        self._on_disk = revision

    def await_revision(self, revision: str) -> None:
        """Accept only files of this revision, until `stop_awaiting`."""
        self._awaited = revision

    def stop_awaiting(self) -> None:
        """Accept edits of the active policy again."""
        self._awaited = None

    def on_reload(self, listener: Callable[[Reload], None]) -> None:
        """Call `listener` after each reload that swapped or refused a policy."""
        self._listeners.append(listener)

    def build_candidate(self, files: Mapping[str, bytes]) -> Snapshot:
        """Build another policy for the routes that are served. Raises PolicyRefused with every fault."""
        return self._build(parse(from_bytes(files), self.active.policy))

    def _build(self, policy: Policy) -> Snapshot:
        if faults := self._find_more(policy):
            raise PolicyRefused(faults)
        snapshot = build(policy, self.table)
        with long_lived_build():
            _ = snapshot.candidates  # now, and not when a caller waits for it
        return snapshot

    @asynccontextmanager
    async def locked(self) -> AsyncIterator[None]:
        """Lock out reloads while the caller writes the files."""
        async with self._one_at_a_time:
            try:
                yield
            finally:
                if self._replaced:
                    await asyncio.to_thread(free_snapshots, self._replaced)

    async def reload(self, accept: Callable[[Reload], Awaitable[None]] | None = None) -> Reload:
        """Load the policy from the files, or return its faults. Reading and building run off the event loop.

        `accept` is awaited before the outcome takes effect, unless it is a refusal; if it raises, the active policy
        stays. Raises ExceptionGroup if listeners fail; the reload has taken effect then.
        """
        async with self.locked():
            await self._wait_for_writer()
            return await self._reload(accept)

    async def _reload(self, accept: Callable[[Reload], Awaitable[None]] | None) -> Reload:
        # A separate method, so that no local variable references the old policy when `locked` frees it.
        old = self.active
        try:
            source = await asyncio.to_thread(read, self.directory)
            self._log_ignored(source.ignored)
            if source.revision == old.revision and not source.faults:
                if accept:
                    await accept(Reload("unchanged", old.revision))
                self.refused, self.outdated, self._on_disk = None, None, old.revision
                self.reloads["unchanged"] += 1
                return Reload("unchanged", old.revision)
            policy = await asyncio.to_thread(parse, source, old.policy)
            if self.on_disk != old.revision or self.awaited not in (None, policy.revision):
                self.outdated = policy.revision
                raise PolicyRefused([_outdated(policy.revision, self.on_disk, self.awaited or old.revision)])
            snapshot = await asyncio.to_thread(self._build, policy)
        except PolicyRefused as refused:
            self.refused = LoadFailure(datetime.now(UTC), refused.faults)
            return self._notify(Reload("refused", old.revision, faults=refused.faults))
        changed = await asyncio.to_thread(take_changes, [old.policy, policy])
        if accept:
            await accept(Reload("swapped", snapshot.revision, changed))
        self._on_disk = snapshot.revision
        return self._swap(snapshot, changed)

    def take(self, snapshot: Snapshot, changed: tuple[EntryChange, ...]) -> Reload:
        """Activate a policy that did not come from the files. Call it while `locked`; raises like `reload`.

        What the files hold is not known yet: the writer of the files calls `record_files`.
        """
        return self._swap(snapshot, changed)

    def suspend(self) -> None:
        """Stop deciding until `resume`, since the active policy may be out of date."""
        if not self._suspended:
            self._suspended = True
            self.active = Suspended(self.active)

    def resume(self) -> None:
        """Decide again with the active policy."""
        if self._suspended:
            self._suspended = False
            if isinstance(self.active, Suspended):
                self.active = self.active.last

    @property
    def suspended(self) -> bool:
        """Whether decisions are suspended."""
        return self._suspended

    def is_being_written(self) -> bool:
        """Whether a running process is writing the files."""
        if write.unfinished(self.directory) is None:
            return False
        try:
            lock = write.lock(self.directory)
        except write.PolicyNotWritten:
            return False
        if lock is not None:
            write.unlock(lock)
        return lock is None

    async def _wait_for_writer(self) -> None:
        """Wait at most _PATIENCE for another process that writes the files; half-written files are refused later."""
        deadline = time.monotonic() + _PATIENCE
        while self.is_being_written() and time.monotonic() < deadline:  # noqa: ASYNC110  # another process sets no event
            await asyncio.sleep(_LOOK_SECONDS)

    def _log_ignored(self, ignored: tuple[str, ...]) -> None:
        """Log once which files of the directory are not read."""
        if ignored and ignored != self.ignored:
            _log.info(
                "files in the policy directory are not read", count=len(ignored), files=ignored[:_MAX_LOGGED_FILES]
            )
        self.ignored = ignored

    def _swap(self, snapshot: Snapshot, changed: tuple[EntryChange, ...]) -> Reload:
        self._replaced.append(self.active)
        self.active = Suspended(snapshot) if self._suspended else snapshot
        self.since, self.refused, self.outdated = datetime.now(UTC), None, None
        return self._notify(Reload("swapped", snapshot.revision, changed=changed))

    def _notify(self, outcome: Reload) -> Reload:
        self.reloads[outcome.outcome] += 1
        failed: list[Exception] = []
        for listener in self._listeners:
            try:
                listener(outcome)
            except Exception as error:  # noqa: BLE001  # a failing listener must not keep the others from being notified
                failed.append(error)
        if failed:
            raise ExceptionGroup(f"the reload was {outcome.outcome}, and listeners failed", failed)
        return outcome


def _outdated(found: str, on_disk: str, active: str) -> Fault:
    """The fault of files that are not based on the active policy: loading them would undo other changes."""
    if found == on_disk:
        message = f"these files return to revision {found}, while {active} is active"
    else:
        message = f"these files are based on revision {on_disk}, while {active} is active"
    hint = (
        f"restore the active files (`authz policy show {active} --out NEW`) or, to make these active, publish "
        "them: `authz policy publish DIR -m WHY`"
    )
    return Fault.of_file("outdated-files", ".", message, hint)

"""Examines a policy as `authz policy check` does: every fault, and the findings of what could be read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from app.policy.analysis.cells import KnownAnalyses
from app.policy.analysis.findings import Finding, find
from app.policy.engine.casbin_crosscheck import VerifiedRules
from app.policy.engine.live import build
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault, PolicyRefused
from app.policy.language.load import Policy, parse
from app.policy.language.source import PolicySource
from app.policy.routing.routes import RouteTable


@dataclass(frozen=True, slots=True)
class Examination:
    """The result of a check. `snapshot` is None if the files cannot be read as a policy."""

    faults: tuple[Fault, ...]
    findings: tuple[Finding, ...]
    snapshot: Snapshot | None

    @property
    def every(self) -> list[Finding]:
        """The faults, as findings of the severity `error`, and then the findings."""
        return [*(Finding("error", fault) for fault in self.faults), *self.findings]


@dataclass(frozen=True, slots=True)
class ExaminationMemory:
    """What one examination can take from the one before, of a policy that differs in a few rows."""

    verified: VerifiedRules = field(default_factory=VerifiedRules)
    analyses: KnownAnalyses = field(default_factory=KnownAnalyses)


def examine(
    load_source: Callable[[], PolicySource],
    table: RouteTable,
    *,
    proxies_stated: bool,
    find_more: Callable[[Policy], list[Fault]] = lambda _: [],
    before: Policy | None = None,
    memory: ExaminationMemory | None = None,
) -> Examination:
    """Examine the files that `load_source` returns, which may raise PolicyRefused.

    `find_more` finds the faults that a policy has in this deployment alone. What did not change is reused from the
    policy `before`, and what was computed about it is in the `memory` of the caller. `proxies_stated`: the deployment
    sets AUTHZ_TRUSTED_PROXIES.
    """
    memory = memory or ExaminationMemory()
    of_texts: tuple[Fault, ...] = ()
    faults: tuple[Fault, ...] = ()
    try:
        source = load_source()
        if source.is_legible:
            # A file that only lacks its last line can be read, so that its other faults are reported too.
            of_texts, source = source.faults, replace(source, faults=())
        policy = parse(source, before)
        try:
            if wrong := find_more(policy):
                raise PolicyRefused(wrong)
            snapshot = build(policy, table, memory.verified)
        except PolicyRefused as refused:
            faults = refused.faults
            snapshot = Snapshot(policy, table)
    except PolicyRefused as refused:
        return Examination(PolicyRefused([*of_texts, *refused.faults]).faults, (), None)
    findings = tuple(find(snapshot, proxies_stated=proxies_stated, known=memory.analyses))
    return Examination(PolicyRefused([*of_texts, *faults]).faults, findings, snapshot)

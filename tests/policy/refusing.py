"""A reload that must be refused: the previous policy stays active, and each fault has its place."""

from __future__ import annotations

from functools import lru_cache

from app.policy.engine.live import LivePolicy
from app.policy.engine.snapshot import Snapshot
from app.policy.language.fault import Fault
from tests.policy.shipped import PERSON

# Faults of a file or of the policy, without a line.
WHOLE = {
    "in-motion",
    "missing-file",
    "no-directory",
    "stray-file",
    "too-large",
    "too-many-files",
    "unreadable",
}
HELD = (
    frozenset({"anyone", "auth:anonymous"}),
    PERSON,
    PERSON | {"catalog:read"},
    PERSON | {"holdings:write", "policies:write"},
    frozenset({"anyone", "auth:api_key", "env:test", "key:7", "catalog:write"}),
)


def verdicts(active: Snapshot) -> list[tuple[bool, str]]:
    """The verdicts of a policy on everything."""
    return [
        (bool(decision), decision.revision)
        for held in HELD
        for route in active.table.routes
        for decision in [active.decide(held, route.template, route.method)]
    ]


@lru_cache(maxsize=1)
def first_verdicts(active: Snapshot) -> list[tuple[bool, str]]:
    """The verdicts of a policy before its first reload that was refused."""
    return verdicts(active)


def assert_placed(faults: tuple[Fault, ...]) -> None:
    assert faults
    for fault in faults:
        assert fault.code and fault.file and fault.message
        assert (fault.code in WHOLE) == (fault.line == 0), fault
        assert (fault.line > 0) == (fault.column > 0), fault
        assert str(fault).replace("\t", " ").isprintable(), fault
        assert "\n" not in fault.text


async def refused(live: LivePolicy) -> tuple[Fault, ...]:
    """Reload, which must be refused and change nothing; return the faults."""
    active = live.active
    before = first_verdicts(active)
    reload = await live.reload()
    assert reload.outcome == "refused"
    assert live.active is active
    assert reload.revision == active.revision
    assert live.refused is not None and live.refused.faults == reload.faults
    assert verdicts(active) == before
    assert_placed(reload.faults)
    return reload.faults

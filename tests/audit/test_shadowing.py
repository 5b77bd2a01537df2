"""The background comparison with a policy in shadow: counts, bounds and failures."""

from __future__ import annotations

import asyncio
from typing import Any, cast

import pytest

from app.audit.record import Unverified
from app.audit.shadowing import DeployedShadow, Shadowing
from app.identity.principal import Principal, key_principal, user_principal
from app.policy.analysis.shadow import MAX_DIFFERENCES
from app.policy.engine.snapshot import Snapshot
from tests.policy.small import snapshot

pytestmark = pytest.mark.anyio
ACTIVE = snapshot("p, a:read, /x, GET, allow")
CANDIDATE = snapshot("p, b:read, /x, GET, allow")
READER = user_principal("user_reader", ["a:read"], {})


def ask(shadowing: Shadowing, principal: Principal = READER, active: Snapshot = ACTIVE, resource: str = "/x") -> None:
    shadowing.note(resource, "GET", principal, active.decide(principal.held, resource, "GET"))


def deploy(shadowing: Shadowing, candidate: Snapshot = CANDIDATE) -> DeployedShadow:
    return shadowing.deploy(candidate, message="Try it.", author="user_admin")


async def settled(deployed: DeployedShadow) -> None:
    async with asyncio.timeout(10):
        while deployed.waiting:
            await asyncio.sleep(0.01)


async def test_differences_are_counted_by_caller_and_request() -> None:
    async with Shadowing(every_seconds=0.01) as shadowing:
        ask(shadowing)  # no policy is in shadow yet
        deployed = deploy(shadowing)
        for _ in range(3):
            ask(shadowing)
        ask(shadowing, key_principal("owner", 7, "live", ["b:read"]))
        ask(shadowing, user_principal("user_both", ["a:read", "b:read"], {}))
        shadowing.note("/x", "GET", None, Unverified("Token has expired.", "rev"))
        await settled(deployed)
    shadow = deployed.shadow
    assert (shadow.compared, shadow.differing, shadow.not_compared, shadow.other) == (5, 4, 0, 0)
    lost, gained = shadow.most_frequent(50)
    assert (lost.number, tuple(lost.key)) == (3, (("user_reader", None, None), "GET", "/x", True))
    assert lost.decision.missing == ("b:read",)
    assert (gained.number, tuple(gained.key)) == (1, (("owner", 7, None), "GET", "/x", False))
    assert gained.decision.rule
    assert shadow.most_frequent(1) == [lost]


@pytest.mark.parametrize(
    ("rows", "counts"),
    [
        (("p, a:read, /x, GET, allow, \"request.ip == '::1'\"",), (0, 1, 0)),
        (("p, a:read, /x, GET, deny, \"request.ip == '::1'\"",), (1, 0, 1)),  # nothing would allow it anyway
        (("p, a:read, /x, GET, allow", "p, a:read, /x, GET, deny, \"request.ip == '::1'\""), (0, 1, 0)),
        (("p, a:read, /x, GET, allow", "p, b:read, /x, GET, deny, \"request.ip == '::1'\""), (1, 0, 0)),
    ],
)
async def test_a_verdict_that_depends_on_a_condition_is_not_compared(
    rows: tuple[str, ...], counts: tuple[int, int, int]
) -> None:
    async with Shadowing(every_seconds=0.01) as shadowing:
        deployed = deploy(shadowing, snapshot(*rows))
        ask(shadowing)
        await settled(deployed)
    shadow = deployed.shadow
    assert (shadow.compared, shadow.not_compared, shadow.differing) == counts


async def test_differences_and_the_queue_are_bounded() -> None:
    async with Shadowing(every_seconds=0.01) as shadowing:
        deployed = deploy(shadowing)
        for number in range(MAX_DIFFERENCES + 20):
            ask(shadowing, user_principal(f"user_{number}", ["a:read"], {}))
        await settled(deployed)
    shadow = deployed.shadow
    assert (shadow.differing, shadow.other) == (MAX_DIFFERENCES + 20, 20)
    assert len(shadow.most_frequent(10**6)) == MAX_DIFFERENCES
    full = Shadowing(capacity=5)
    waiting = deploy(full)
    for _ in range(8):
        ask(full)
    assert (len(waiting.waiting), waiting.dropped) == (5, 3)


async def test_a_failed_comparison_does_not_end_the_task() -> None:
    broken = Principal("user_broken", "jwt", cast(Any, ["not", "hashable"]))
    async with Shadowing(every_seconds=0.01) as shadowing:
        deployed = deploy(shadowing)
        decision = ACTIVE.decide(READER.held, "/x", "GET")
        shadowing.note("/x", "GET", broken, decision)
        ask(shadowing)
        await settled(deployed)
    assert (deployed.failed, deployed.shadow.compared) == (1, 1)


async def test_a_secret_in_a_name_is_not_stored() -> None:
    key = "grd_live_" + "ab" * 24
    async with Shadowing(every_seconds=0.01) as shadowing:
        deployed = deploy(shadowing)
        ask(shadowing, user_principal(key, ["a:read"], {}))
        await settled(deployed)
    (difference,) = deployed.shadow.most_frequent(50)
    assert difference.key.who.subject == "[secret]"


async def test_another_shadow_starts_with_empty_counts() -> None:
    async with Shadowing(every_seconds=0.01) as shadowing:
        first = deploy(shadowing)
        ask(shadowing)
        second = deploy(shadowing, snapshot("p, a:read, /x, GET, allow"))
        ask(shadowing)
        await settled(second)
        assert (first.shadow.compared, second.shadow.compared, second.shadow.differing) == (0, 1, 0)
        shadowing.withdraw()
        ask(shadowing)
        assert shadowing.deployed is None
        assert not second.waiting
